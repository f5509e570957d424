//! Sources, from outside: what they refuse before any call, what profiles mean, and what they make
//! of a service's answers, on the real SDK against the sandbox.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod aws_cache_keys;
mod callbacks;
mod clocks;
mod failures;
mod limits;
mod profiles;
mod roles;
mod store_keys;
mod support;
