//! The container-credentials endpoint: `GET /role/NAME` with the role's token in `Authorization`.
//!
//! | request | answer |
//! |---|---|
//! | a role's path with its token | 200 and the session |
//! | another path or role / another method | 404 / 405 |
//! | no token or a wrong one | 401 |
//! | another `Host`, an `Origin`, `Sec-Fetch-…`, a proxy; a program that the rule doesn't admit | 403 |
//! | no session to be had within 1.5 s | 503 and `Retry-After` |

use hyper::{
    Method, Request,
    body::Incoming,
    header::{self, HeaderValue},
};

use crate::{
    connections::{Connection, Face, World},
    gate,
    refusal::Refusal,
    reply::{self, Answer},
    role::{CONTAINER_HOLD, Role},
};

/// Before a role's name.
pub const PATH: &str = "/role/";

/// Serves all roles that have a token.
pub(crate) struct Container;

impl Face for Container {
    async fn answer(
        &self,
        world: &World,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> Answer {
        let role = match admit(world, connection, &request).await {
            Ok(role) => role,
            Err(refusal) => return world.refuse(refusal, connection),
        };
        match role.session(CONTAINER_HOLD).await {
            Ok(session) => {
                connection.note_read(&role, &session).await;
                reply::ok(reply::JSON, role.container_document(&session))
            }
            Err(error) => reply::unavailable(&error),
        }
    }
}

/// The role that is asked for, if this client may read it.
async fn admit(
    world: &World,
    connection: &Connection,
    request: &Request<Incoming>,
) -> Result<Role, Refusal> {
    let headers = request.headers();
    gate::check(headers, connection.local())?;
    let name = request.uri().path().strip_prefix(PATH).ok_or(Refusal::Path)?;
    let role = world.roles.get(name).ok_or(Refusal::Path)?;
    let given = headers.get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    if !role.tokens().admit(given) {
        return Err(Refusal::Token);
    }
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    connection.check_rule(role.rule()).await?;
    Ok(role)
}
