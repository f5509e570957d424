//! A local STS over HTTP on the loopback interface: for trying things out, and for tests.
//!
//! It really checks what it is sent (signatures, trust, external ids, MFA codes, limits), really
//! expires and revokes what it issues, and can be told to misbehave ([`Faults`]). It serves
//! AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken, GetFederationToken and
//! GetCallerIdentity of STS, and of S3 and RDS one operation each, ListBuckets and
//! DescribeDBInstances, so that a session has something to be refused by.
//!
//! ```
//! use std::time::Duration;
//! use rolekeeper_sandbox::{Faults, Sandbox};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let sandbox = Sandbox::builder().session_lifetime(Duration::from_secs(10)).start().await?;
//!
//! // Point an SDK at it, in a child process' environment for instance.
//! for (name, value) in sandbox.environment() {
//!     println!("{name}={value}");
//! }
//!
//! sandbox.faults().set(Faults { throttle_per_second: Some(0), ..Faults::default() });
//! sandbox.faults().clear();
//! sandbox.advance(Duration::from_secs(10)); // all sessions issued so far are over
//! assert_eq!(sandbox.counts().ok("AssumeRole"), 0);
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Over HTTP
//!
//! The same can be asked of it over HTTP, under `/_sandbox/`, with the header
//! `Authorization: Bearer` and [`Running::admin_token`]:
//!
//! | endpoint | body | answer |
//! |---|---|---|
//! | `GET /_sandbox/health` | | `{"status":"ok"}` |
//! | `GET /_sandbox/counts` | | [`Counts`] |
//! | `GET /_sandbox/faults` | | [`Faults`] |
//! | `PUT /_sandbox/faults` | [`Faults`] | the faults that are now set |
//! | `DELETE /_sandbox/faults` | | the faults that are now set: none |
//! | `POST /_sandbox/revoke` | [`Revoke`], such as `{"role":"demo"}` | `{"revoked":1}` |
//! | `POST /_sandbox/advance` | `{"seconds":900}` | `{"seconds":900}` |
//! | `GET /_sandbox/mfa` | | the MFA codes of this moment, by serial number |
//!
//! Faults never hit these.
//!
//! # What it is not
//!
//! It has no policies beyond a role's trust and allowed actions, checks a session policy's syntax
//! only, and packs policies by a rule of its own. One endpoint stands for every Region.

mod admin;
mod caller;
mod clock;
mod config;
mod counts;
mod faults;
mod limits;
mod mfa;
mod random;
mod reply;
mod running;
mod secret;
mod server;
mod services;
mod sessions;
mod sigv4;
mod sts;
mod trust;
mod web_identity;
mod wire;
mod world;

pub use config::{Config, ConfigError};
pub use counts::{Count, Counts};
pub use faults::{AssumeRoleRefusal, Down, Failures, Faults};
pub use running::{Builder, FaultControl, Running, Sandbox, UserCredentials};
pub use sessions::Revoke;
