//! The sandbox over real sockets: what it serves, what it refuses and why, how it misbehaves.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod common;

mod admin;
mod counts;
mod faults;
mod malformed;
mod roles;
mod running;
mod sessions;
mod signatures;
mod web_identity;
