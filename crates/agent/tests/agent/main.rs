//! The agent over real sockets.

mod container;
mod support;
