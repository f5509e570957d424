//! What is sealed: a session, or a failure that cools, as text that only this program reads.

use std::time::Duration;

use rolekeeper_core::{Credentials, Elapsed, Failure, FailureKind, Issued, Moment, WallTime};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A session that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) issued: Issued,
    /// When it arrived, for a store that goes by the clocks of its own machine.
    pub(crate) arrived: Option<Arrived>,
}

/// A moment that other processes of this machine understand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrived {
    wall: i64,
    elapsed: i64,
    /// Which run of the machine `elapsed` counts in; `None` where nobody tells.
    boot: Option<String>,
}

/// A session needs some 2 kB. With room to spare it is not moved while it is written, which would
/// leave secrets behind.
const ROOM: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
struct SessionText {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    expiration: i64,
    issued_at: Option<i64>,
    account_id: Option<String>,
    assumed_role_arn: Option<String>,
    arrived: Option<Arrived>,
}

#[derive(Serialize, Deserialize)]
struct FailureText {
    kind: String,
    code: Option<String>,
    message: String,
    hint: Option<String>,
}

// === impl Record ===

impl Record {
    pub(crate) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let Issued { credentials, expiration, issued_at, account_id, assumed_role_arn, .. } =
            &self.issued;
        let text = SessionText {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.expose().to_owned().into(),
            session_token: credentials.session_token.expose().to_owned().into(),
            expiration: expiration.as_unix_nanos(),
            issued_at: issued_at.map(WallTime::as_unix_nanos),
            account_id: account_id.clone(),
            assumed_role_arn: assumed_role_arn.clone(),
            arrived: self.arrived.clone(),
        };
        written(&text)
    }

    /// `None`: it makes no sense.
    pub(crate) fn of_text(text: &[u8]) -> Option<Self> {
        let text: SessionText = serde_json::from_slice(text).ok()?;
        let credentials = Credentials::new(
            text.access_key_id,
            text.secret_access_key.as_str(),
            text.session_token.as_str(),
        );
        let mut issued = Issued::new(credentials, WallTime::from_unix_nanos(text.expiration));
        issued.issued_at = text.issued_at.map(WallTime::from_unix_nanos);
        issued.account_id = text.account_id;
        issued.assumed_role_arn = text.assumed_role_arn;
        Some(Self { issued, arrived: text.arrived })
    }
}

pub(crate) fn failure_to_text(failure: &Failure) -> Zeroizing<Vec<u8>> {
    written(&FailureText {
        kind: failure.kind.as_str().to_owned(),
        code: failure.code.as_deref().map(str::to_owned),
        message: failure.message.clone(),
        hint: failure.hint.as_deref().map(str::to_owned),
    })
}

/// `None`: it makes no sense.
pub(crate) fn failure_of_text(text: &[u8]) -> Option<Failure> {
    let text: FailureText = serde_json::from_slice(text).ok()?;
    let kinds = [
        FailureKind::Unavailable,
        FailureKind::Denied,
        FailureKind::NeedsPerson,
        FailureKind::Misconfigured,
        FailureKind::BadAnswer,
    ];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == text.kind)?;
    let mut failure = Failure::new(kind, text.message);
    failure.code = text.code.map(Into::into);
    failure.hint = text.hint.map(Into::into);
    Some(failure)
}

pub(super) fn written(text: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    // Text into memory: it can't fail, and nothing that is written is no session.
    let _ = serde_json::to_writer(&mut *bytes, text);
    bytes
}

// === impl Arrived ===

impl Arrived {
    pub(crate) fn at(moment: Moment, boot: Option<String>) -> Self {
        let (wall, elapsed) = (moment.wall.as_unix_nanos(), moment.elapsed.as_nanos());
        Self { wall, elapsed, boot }
    }

    /// The same moment by the clocks of now; `None` if it lies so far ahead that a clock must have
    /// been set back since.
    pub(crate) fn seen_at(&self, now: Moment, boot: Option<&str>) -> Option<Moment> {
        let (wall, elapsed) =
            (WallTime::from_unix_nanos(self.wall), Elapsed::from_nanos(self.elapsed));
        let by_wall = now.wall.since(wall);
        if boot.is_some() && boot == self.boot.as_deref() {
            // The stricter clock decides.
            return Some(now.before(by_wall.max(now.elapsed.since(elapsed))));
        }
        (wall.since(now.wall) <= CLOCKS_APART).then(|| now.before(by_wall))
    }

    /// How long until this moment, by the stricter clock.
    pub(crate) fn left_at(&self, now: Moment, boot: Option<&str>) -> Duration {
        let by_wall = WallTime::from_unix_nanos(self.wall).since(now.wall);
        if boot.is_some() && boot == self.boot.as_deref() {
            return by_wall.min(Elapsed::from_nanos(self.elapsed).since(now.elapsed));
        }
        by_wall
    }
}

/// A record of another run of this machine may lie this much ahead: what a clock is corrected by
/// when nothing is wrong with it.
const CLOCKS_APART: Duration = Duration::from_secs(300);
