//! The instance metadata service, version 2, for one role: `PUT /latest/api/token`, and then `GET`
//! or `HEAD` with that token.
//!
//! | request | answer |
//! |---|---|
//! | a token's lifetime that is missing, or not 1 to 21,600 seconds | 400 |
//! | no token, a wrong one, one that has ended, or of another listener | 401 |
//! | another `Host`, an `Origin`, `Sec-Fetch-…`, a proxy; a program that the rule doesn't admit | 403 |
//! | another path, or another role | 404 |
//! | another method | 405 |
//! | no session to be had within 0.8 s | 503 |
//!
//! A client without a token gets 401 and nothing else, so that one that has fallen back to version
//! 1 comes back: Go and JavaScript stop asking for tokens when the `PUT` was answered 403, 404 or
//! 405, or was not answered at all, as during a restart, and begin again at a 401.
//!
//! Where there is no session the answer is 503: after a 5xx Rust and Go ask again, and JavaScript
//! and Rust go on with what they have. A 404 would mean that there is no role, and a 200 would be
//! taken for the credentials themselves.

mod item;
mod token;

use std::{io, net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use hyper::{
    HeaderMap, Request,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use rolekeeper::{Clock, Elapsed, Session};
use serde_json::json;

use crate::{
    config::RoleName,
    connections::{Connection, Face, World},
    gate,
    refusal::Refusal,
    reply::{self, Answer},
    role::Role,
    rule::Rule,
};
use item::Item;
use token::{Key, Lifetime};

/// How long a request waits for a session. Clients of instance metadata give up after 1 s, and some
/// of them never ask again.
const HOLD: Duration = Duration::from_millis(800);

const LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// Serves one role to programs that think they run on a machine of EC2.
pub(crate) struct Imds {
    role: RoleName,
    region: Option<String>,
    v1: bool,
    key: Key,
    /// Instance metadata has no secret that a client has to know, so a role without a rule is
    /// served to nobody but this user.
    this_user: Rule,
}

/// A request that may be answered.
enum Asked {
    Token(Lifetime),
    Item(Role, Item),
}

// === impl Imds ===

impl Imds {
    /// With `v1`, a request without a token is answered too. Tokens outlive a restart if their key
    /// is in a file.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(crate) fn new(
        role: RoleName,
        region: Option<String>,
        v1: bool,
        listener: SocketAddr,
        key: Option<&Path>,
    ) -> io::Result<Self> {
        let key = key_for(listener, key)?;
        Ok(Self { role, region, v1, key, this_user: Rule::this_user() })
    }

    async fn admit(
        &self,
        world: &World,
        connection: &Connection,
        request: &Request<Incoming>,
        item: Option<Item>,
    ) -> Result<Asked, Refusal> {
        let headers = request.headers();
        gate::check(headers, connection.local())?;
        if !methods(item.as_ref()).split(", ").any(|method| method == request.method().as_str()) {
            return Err(Refusal::Method);
        }
        if item == Some(Item::Token) {
            let seconds = only(headers, &LIFETIME)?.ok_or(Refusal::Lifetime)?;
            return Lifetime::parse(seconds).map(Asked::Token).ok_or(Refusal::Lifetime);
        }
        match only(headers, &TOKEN)? {
            Some(token) if self.key.admits(now(), token) => {}
            Some(_) => return Err(Refusal::Token),
            None if self.v1 => {}
            None => return Err(Refusal::Version1),
        }
        let role = world.roles.get(self.role.as_str()).ok_or(Refusal::Path)?;
        connection.check_rule(role.rule().or(&self.this_user)).await?;
        item.map(|item| Asked::Item(role, item)).ok_or(Refusal::Path)
    }

    /// The Rust, Go and Ruby SDKs read from the answer how long the token is good for.
    fn token(&self, lifetime: Lifetime) -> Answer {
        let mut answer = text(self.key.issue(now(), lifetime));
        answer.headers_mut().insert(LIFETIME, HeaderValue::from(lifetime.as_secs()));
        answer
    }
}

impl Face for Imds {
    async fn answer(
        &self,
        world: &World,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> Answer {
        let path = request.uri().path();
        let item = Item::at(path, self.role.as_str(), self.region.as_deref());
        let allowed = HeaderValue::from_static(methods(item.as_ref()));
        match self.admit(world, connection, &request, item).await {
            Ok(Asked::Token(lifetime)) => self.token(lifetime),
            Ok(Asked::Item(role, item)) => give(world, connection, &role, item).await,
            Err(refusal) => {
                let mut answer = world.refuse(refusal, connection);
                if refusal == Refusal::Method {
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                answer
            }
        }
    }
}

/// What `Allow` says.
fn methods(item: Option<&Item>) -> &'static str {
    if item == Some(&Item::Token) { "PUT" } else { "GET, HEAD" }
}

/// The header's value, if it is there; twice is not once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Refusal> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (first, None) => Ok(first.map(HeaderValue::as_bytes)),
        _ => Err(Refusal::Malformed),
    }
}

/// A file that can't be had is no reason not to serve: only the Rust SDK then notices a restart.
fn key_for(listener: SocketAddr, file: Option<&Path>) -> io::Result<Key> {
    let Some(path) = file else { return Key::random(listener) };
    Key::in_file(path, listener).or_else(|error| {
        let file = path.display();
        tracing::warn!(%file, %error, "tokens of instance metadata will end with this process");
        Key::random(listener)
    })
}

/// Elapsed time also passes while the machine sleeps.
fn now() -> Elapsed {
    Clock::default().now().elapsed
}

// === what is given ===

async fn give(world: &World, connection: &Connection, role: &Role, item: Item) -> Answer {
    match item {
        Item::Token => world.refuse(Refusal::Method, connection),
        Item::Text(words) => text(words),
        Item::Identity { region } => identity(role, &region),
        Item::Info => match role.session(HOLD).await.map(|session| info(role, &session)) {
            Ok(Some(info)) => info,
            Ok(None) => world.refuse(Refusal::Path, connection),
            Err(error) => reply::unavailable(&error),
        },
        Item::Credentials => match role.session(HOLD).await {
            Ok(session) => {
                connection.note_read(role, &session).await;
                reply::ok(reply::JSON, role.instance_document(&session))
            }
            Err(error) => reply::unavailable(&error),
        },
    }
}

fn text(words: String) -> Answer {
    reply::ok(reply::TEXT, Bytes::from(words))
}

/// Tools take the account and the partition from it; where the account isn't known there is nothing
/// in it for them.
fn info(role: &Role, session: &Session) -> Option<Answer> {
    let account = session.account_id()?;
    let partition =
        session.assumed_role_arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
    let name = role.name();
    Some(json(&json!({
        "Code": "Success",
        "LastUpdated": session.arrived().wall.to_string(),
        "InstanceProfileArn": format!("arn:{partition}:iam::{account}:instance-profile/{name}"),
    })))
}

/// SDKs take the Region from it. Nobody has signed it, and there is no machine behind it.
fn identity(role: &Role, region: &str) -> Answer {
    let session = role.credentials().current();
    json(&json!({
        "version": "2017-09-30",
        "region": region,
        "availabilityZone": item::zone(region),
        "accountId": session.as_deref().and_then(Session::account_id),
        "instanceId": item::INSTANCE_ID,
    }))
}

fn json(document: &serde_json::Value) -> Answer {
    reply::ok(reply::JSON, Bytes::from(document.to_string()))
}
