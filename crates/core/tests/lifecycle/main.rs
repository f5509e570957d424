//! The lifecycle against its specification: row by row, and under random histories.

mod properties;
mod scene;
mod secrets;
mod shell;
mod tables;
