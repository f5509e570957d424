//! What operators ask.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200: the process lives and answers |
//! | `GET /readyz` | 200 if every role has a session, or needs none; else 503 and the roles that have none, with the cause |
//! | `GET /metrics` | everything that is counted, in the text format of Prometheus |
//!
//! There is no token: nothing here is a secret, and nothing can be changed.

use std::fmt::Write;

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, body::Incoming, header::HeaderValue};

use crate::{
    connections::{Connection, Face, World},
    gate,
    metrics::{self, Metrics},
    refusal::Refusal,
    reply::{self, Answer},
    role::Role,
};

const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A failing network makes thousands of roles unready at once: the first say enough.
const MOST_NAMED: usize = 100;

/// Answers them.
pub(crate) struct Operator;

enum Wanted {
    Health,
    Readiness,
    Metrics,
}

impl Face for Operator {
    async fn answer(
        &self,
        world: &World,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> Answer {
        match wanted(connection, &request) {
            Err(refusal) => world.refuse(refusal, connection),
            Ok(Wanted::Health) => reply::ok(reply::TEXT, Bytes::from_static(b"ok\n")),
            Ok(Wanted::Readiness) => readiness(&world.roles.all()),
            Ok(Wanted::Metrics) => {
                let metrics = Metrics::of(world);
                // Thousands of roles take tens of milliseconds: no reader shall wait for them.
                match tokio::task::spawn_blocking(move || metrics.text()).await {
                    Ok(text) => reply::ok(METRICS, Bytes::from(text)),
                    Err(error) => {
                        tracing::error!(%error, "cannot write the metrics");
                        let nothing = Bytes::new();
                        reply::with_status(StatusCode::INTERNAL_SERVER_ERROR, reply::TEXT, nothing)
                    }
                }
            }
        }
    }
}

fn wanted(connection: &Connection, request: &Request<Incoming>) -> Result<Wanted, Refusal> {
    gate::check(request.headers(), connection.local())?;
    let wanted = match request.uri().path() {
        "/healthz" => Wanted::Health,
        "/readyz" => Wanted::Readiness,
        "/metrics" => Wanted::Metrics,
        _ => return Err(Refusal::Path),
    };
    // To HEAD the connection sends the same without its body.
    match *request.method() {
        Method::GET | Method::HEAD => Ok(wanted),
        _ => Err(Refusal::Method),
    }
}

fn readiness(roles: &[Role]) -> Answer {
    let unready: Vec<(&Role, String)> =
        roles.iter().filter_map(|role| Some((role, why_not_ready(role)?))).collect();
    if unready.is_empty() {
        return reply::ok(reply::TEXT, Bytes::from_static(b"ok\n"));
    }
    let mut text = format!("{} of {} roles have no session\n", unready.len(), roles.len());
    for (role, why) in unready.iter().take(MOST_NAMED) {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}: {why}", role.name());
    }
    if let Some(more) = unready.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more");
    }
    reply::with_status(StatusCode::SERVICE_UNAVAILABLE, reply::TEXT, Bytes::from(text))
}

/// `None` if a reader would be served at once, or the session was let go because there are none.
fn why_not_ready(role: &Role) -> Option<String> {
    let status = role.credentials().status();
    if status.is_shut_down {
        return Some("it has been shut down".to_owned());
    }
    if !status.remaining.is_zero() && !status.is_rejected {
        return None;
    }
    match status.last_error {
        Some(error) => Some(error.to_string().replace(['\n', '\r'], " ")),
        None if status.is_rejected => Some("a service has rejected the session".to_owned()),
        None if metrics::is_idle(&status) => None,
        None => Some("no session has come yet".to_owned()),
    }
}
