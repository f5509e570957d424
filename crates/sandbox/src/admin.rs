//! Decides what can be asked of a running sandbox over HTTP, and by whom: the holder of the
//! admin token, at the address that is bound.
//!
//! The endpoints are listed in the crate's documentation.

use std::collections::BTreeMap;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::faults::Faults;
use crate::mfa;
use crate::reply::Reply;
use crate::reply::ascii;
use crate::sessions::Revoke;
use crate::world::World;

pub(crate) const PREFIX: &str = "/_sandbox/";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

pub(crate) fn answer(world: &World, head: &Parts, body: &[u8]) -> Response<Reply> {
    let (status, text) = match admit(world, head) {
        Ok(()) => route(world, head, body).unwrap_or_else(|(status, why)| (status, error(&why))),
        Err((status, why)) => (status, error(why)),
    };
    let mut response = Response::new(Reply::whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::DATE, ascii(&world.date_header()));
    headers.insert("x-amzn-requestid", ascii(&world.request_id()));
    response
}

/// Admits the bearer of the token who asked for the bound address by its number: a web page that
/// had its own name resolved to this machine shows that name.
fn admit(world: &World, head: &Parts) -> Result<(), (StatusCode, &'static str)> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let bound = world.address.to_string();
    let host_fits = hosts.next().is_some_and(|host| host.as_bytes() == bound.as_bytes());
    let authority = head.uri.authority();
    if !host_fits || hosts.next().is_some() || authority.is_some_and(|told| *told != bound) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "not the address the sandbox is bound to"));
    }
    let token = head.headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    if token.is_some_and(|token| world.admin_token.is(token)) {
        return Ok(());
    }
    Err((StatusCode::UNAUTHORIZED, "the admin token is missing or wrong"))
}

fn route(
    world: &World,
    head: &Parts,
    body: &[u8],
) -> Result<(StatusCode, String), (StatusCode, String)> {
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match (path, &head.method) {
        ("health", &Method::GET) => Ok(ok(&json!({"status": "ok"}))),
        ("counts", &Method::GET) => Ok(ok(&world.counts())),
        ("faults", &Method::GET) => Ok(ok(&world.faults())),
        ("faults", &Method::PUT) => {
            let faults: Faults = parse(body)?;
            faults.check().map_err(|why| (StatusCode::BAD_REQUEST, why))?;
            world.set_faults(faults);
            Ok(ok(&world.faults()))
        }
        ("faults", &Method::DELETE) => {
            world.set_faults(Faults::default());
            Ok(ok(&world.faults()))
        }
        ("revoke", &Method::POST) => {
            let which: Revoke = parse(body)?;
            Ok(ok(&json!({"revoked": world.sessions().revoke(&which)})))
        }
        ("advance", &Method::POST) => {
            let advance: Advance = parse(body)?;
            world.clock.advance(Duration::from_secs(advance.seconds));
            Ok(ok(&advance))
        }
        ("mfa", &Method::GET) => {
            let devices = world.config.users.values().filter_map(|user| user.mfa.as_ref());
            let now = world.now();
            let codes: BTreeMap<&str, String> = devices
                .map(|device| (device.serial.as_str(), mfa::current_code(&device.seed.0, now)))
                .collect();
            Ok(ok(&codes))
        }
        ("health" | "counts" | "faults" | "revoke" | "advance" | "mfa", _) => {
            Err((StatusCode::METHOD_NOT_ALLOWED, "not by this method".to_owned()))
        }
        _ => Err((StatusCode::NOT_FOUND, "no such endpoint".to_owned())),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn ok(value: &impl Serialize) -> (StatusCode, String) {
    match serde_json::to_string(value) {
        Ok(text) => (StatusCode::OK, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, error("the answer could not be written")),
    }
}

fn error(why: &str) -> String {
    json!({"error": why}).to_string()
}
