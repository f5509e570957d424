//! AWS role sessions that never run out.
//!
//! Temporary credentials end after an hour, and jobs that run longer die in the middle. With
//! rolekeeper **nobody who reads credentials ever does the work of refreshing them**: a refresher,
//! apart from every reader, replaces the session long before it ends; a reader takes a pointer to
//! the newest one.
//!
//! | to | use |
//! |---|---|
//! | keep one role's session | [`RefreshableCredentials`] over [`sources::AssumeRole`] |
//! | mean what a profile of `~/.aws/config` means | [`sources::Profile`] |
//! | get sessions from a function of your own | [`sources::Callback`] |
//! | keep many roles' | [`Keyring`] |
//! | share one session between processes | [`stores`] |
//! | make every client of the AWS SDK refresh this way | [`adapters::IdentityCache`] |
//!
//! When it refreshes, retries, serves or refuses is decided in [`rolekeeper_core`], a state machine
//! without clock or I/O.

pub mod adapters;
mod cell;
pub mod clock;
mod engine;
mod error;
mod events;
pub mod fork;
mod futures;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod keyring;
mod pace;
mod park;
#[doc(hidden)]
pub mod private_file;
mod refreshable;
mod refresher;
mod runtime;
pub mod sources;
pub mod stores;
mod sync;

pub use cell::Current;
pub use clock::Clock;
pub use error::Error;
pub use events::{Event, EventKind};
pub use keyring::Keyring;
pub use refreshable::{Builder, RefreshableCredentials, Status};
pub use rolekeeper_core::{
    Counters, Credentials, Elapsed, Failure, FailureKind, Issued, Moment, RefreshMode,
    RefreshPolicy, Refusal, Secret, Session, Skew, WallTime,
};
pub use sources::Source;
