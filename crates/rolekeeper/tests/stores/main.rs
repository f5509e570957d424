//! Stores as they are on disk, and what processes do to each other through them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers are tests too, and processes tell how far they are"
)]

mod file;
mod key_file;
#[cfg(unix)]
mod processes;
#[cfg(all(unix, feature = "redis"))]
mod redis;
