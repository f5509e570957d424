//! The engine, from outside: what readers get, when the source is asked, and what is left behind.
//! Time is virtual throughout; the few tests on plain threads have a source that answers at once.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod adapters;
mod beginnings;
mod blocking;
mod clocks;
mod keyring;
mod lifetimes;
mod log;
mod misbehaviour;
mod on_demand;
mod outcomes;
mod readers;
mod rejections;
mod runtimes;
mod secrets;
mod sharing;
mod support;
