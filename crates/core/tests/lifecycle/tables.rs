//! The specification, row by row.

mod clocks;
mod handing_over;
mod readers;
mod schedule;
mod sdk_standard;
