//! The whole binary, as people and programs meet it: what it says, how it ends, what it serves.
//!
//! Snapshots of what people read are in `snapshots/`; `INSTA_UPDATE=always cargo test -p
//! rolekeeper-cli` writes them anew. Nothing here leaves the loopback interface, and nothing of
//! this machine's environment gets in.
//!
//! Programs are started in groups of their own and ended by signals: that takes Unix.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic, and says what it skips"
)]

mod support;

mod aws_cache;
mod completions;
mod credential_process;
mod disks;
mod doctor;
mod exec_child;
mod exec_endpoint;
mod exec_outage;
mod exec_signals;
mod export;
mod failures;
mod fleet;
mod help;
mod python;
mod sandbox;
mod secrets;
mod serve;
mod serve_activation;
mod serve_imds;
mod serve_log;
mod serve_reload;
mod serve_restart;
mod simulate;
mod status;
mod store;
mod whoami;
mod write;
mod wrong_use;
