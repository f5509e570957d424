//! The endpoints from which any SDK, in any language, reads credentials that never run out.
//!
//! An [`Agent`] serves a [`Plan`]: roles, and listeners, each with one [`Face`]. What a request
//! passes on its way in, in this order:
//!
//! | file | decides |
//! |---|---|
//! | `connections` | how many, how large, how slow |
//! | `container`, `imds`, `operator`, `local` | which paths there are, and what each answers |
//! | `gate` | whether it can come from a client on this machine at all |
//! | `tokens`, `rule`, `peer` | whether this client may read this role |
//! | `role`, `document` | the session, and its form |
//! | `refusal`, `reply`, `audit` | what the client, and what the operator is told |

pub mod activation;
mod agent;
mod audit;
pub mod config;
mod connections;
mod container;
pub mod credentials_file;
pub mod document;
mod gate;
pub mod hardening;
mod imds;
pub mod local;
mod metrics;
mod operator;
pub mod peer;
mod planner;
mod refusal;
mod reply;
mod role;
mod rule;
mod tokens;

pub use agent::{Agent, BindError, Bound, Face, Listener, Listening, Place, Plan};
pub use config::RoleName;
pub use container::PATH as CONTAINER_PATH;
pub use metrics::{FetchTimes, Fetches, Measured};
pub use peer::{Depth, Peer};
pub use planner::{Checked, Planner};
pub use refusal::{Refusal, Refusals};
pub use role::{Counters, Role};
pub use rule::Rule;
pub use tokens::Tokens;
