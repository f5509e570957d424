//! The Unix socket that other `rolekeeper` commands of the same user ask.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | how it is with each role; no secrets |
//! | `GET /v1/credentials?role=NAME` | the session, as `credential_process` prints it |
//! | `GET /v1/credentials?profile=NAME&config=PATH&credentials=PATH` | the same, if a role is made of just that profile of just these files; else 404 |
//!
//! Who is not this user, or root, is not even read from.

pub mod client;
mod socket;
#[cfg_attr(unix, path = "local/unix.rs")]
#[cfg_attr(not(unix), path = "local/elsewhere.rs")]
mod sockets;
mod status;

use std::path::PathBuf;

use bytes::Bytes;
use hyper::{Method, Request, body::Incoming};
use percent_encoding::percent_decode_str;
pub(crate) use socket::Socket;
pub use sockets::UnixListener;
pub(crate) use sockets::{are_here, path_of};

use crate::{
    config::AwsFilePaths,
    connections::{Connection, Face, World},
    document, gate,
    refusal::Refusal,
    reply::{self, Answer},
    role::{CONTAINER_HOLD, Role},
};

/// Where the status is.
pub(crate) const STATUS: &str = "/v1/status";
/// Where a session is.
pub(crate) const CREDENTIALS: &str = "/v1/credentials";

/// Answers them.
pub(crate) struct Local;

impl Face for Local {
    async fn answer(
        &self,
        world: &World,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> Answer {
        match wanted(world, connection, &request) {
            // To ask for a profile that isn't served is no offence.
            Err(Refusal::Path) => reply::refused(Refusal::Path),
            Err(refusal) => world.refuse(refusal, connection),
            Ok(None) => reply::ok(reply::JSON, Bytes::from(status::of(&world.roles.all()))),
            Ok(Some(role)) => match role.session(CONTAINER_HOLD).await {
                Ok(session) => {
                    connection.note_read(&role, &session).await;
                    reply::ok(reply::JSON, document::process(&session))
                }
                Err(error) => reply::unavailable(&error),
            },
        }
    }
}

/// The role whose session is asked for; `None` for the status.
fn wanted(
    world: &World,
    connection: &Connection,
    request: &Request<Incoming>,
) -> Result<Option<Role>, Refusal> {
    gate::check(request.headers(), connection.local())?;
    let path = request.uri().path();
    if path != STATUS && path != CREDENTIALS {
        return Err(Refusal::Path);
    }
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if path == STATUS {
        return Ok(None);
    }
    let query = request.uri().query().unwrap_or_default();
    let given = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.rev().find(|(key, _)| *key == name)?.1;
        percent_decode_str(value).decode_utf8().ok()
    };
    if let Some(name) = given("role") {
        return world.roles.get(&name).map(Some).ok_or(Refusal::Path);
    }
    let profile = given("profile").ok_or(Refusal::Malformed)?;
    let path = |name: &str| given(name).map(|path| PathBuf::from(&*path));
    let files = AwsFilePaths { config: path("config"), credentials: path("credentials") };
    let is_it = |role: &Role| role.is_made_of(&profile, &files);
    world.roles.find(is_it).map(Some).ok_or(Refusal::Path)
}
