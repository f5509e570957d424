//! The agent over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod activation;
mod audit;
mod config;
mod container;
mod credentials_file;
#[cfg(target_os = "linux")]
mod hardened;
#[cfg(target_os = "linux")]
mod imds;
#[cfg(unix)]
mod local;
mod operator;
mod role_sources;
mod support;
#[cfg(target_os = "linux")]
mod who_may_read;
