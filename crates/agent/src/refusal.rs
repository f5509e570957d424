//! Why a request is not answered with credentials.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

/// One reason, told to the client by its status and to the operator by a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An `Origin` or a `Sec-Fetch-…`: a web page asks, through a browser on this machine.
    Browser,
    /// `Host` is another than the address that was called: DNS rebinding.
    Host,
    /// `X-Forwarded-For`: somebody on another machine asks, through a proxy on this one.
    Forwarded,
    /// No token, a wrong one, or one that has ended.
    Token,
    /// The role's rule does not admit the program at the other end.
    Peer,
    /// No such path, or no such role.
    Path,
    /// Another method than the path has.
    Method,
    /// Something in the request can't be read.
    Malformed,
    /// Asked without a token of IMDSv2.
    Version1,
    /// A token of IMDSv2 for a time that it can't be good for.
    Lifetime,
}

/// How often each has happened.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; Refusal::ALL.len()]);

impl Refusal {
    /// Every reason there is.
    pub const ALL: [Self; 10] = [
        Self::Browser,
        Self::Host,
        Self::Forwarded,
        Self::Token,
        Self::Peer,
        Self::Path,
        Self::Method,
        Self::Malformed,
        Self::Version1,
        Self::Lifetime,
    ];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Host => "host",
            Self::Forwarded => "forwarded",
            Self::Token => "token",
            Self::Peer => "peer",
            Self::Path => "path",
            Self::Method => "method",
            Self::Malformed => "malformed",
            Self::Version1 => "imdsv1",
            Self::Lifetime => "lifetime",
        }
    }

    pub(crate) fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Browser => (StatusCode::FORBIDDEN, "Forbidden", "not for browsers"),
            Self::Host => {
                (StatusCode::FORBIDDEN, "Forbidden", "Host is not the address that was called")
            }
            Self::Forwarded => (StatusCode::FORBIDDEN, "Forbidden", "not through a proxy"),
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "the token is missing, wrong, or has ended",
            ),
            Self::Peer => {
                (StatusCode::FORBIDDEN, "Forbidden", "the role's rule does not admit this program")
            }
            Self::Path => (StatusCode::NOT_FOUND, "NotFound", "no such path or role"),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "this path takes another method",
            ),
            Self::Malformed => (StatusCode::BAD_REQUEST, "BadRequest", "the request can't be read"),
            Self::Lifetime => (
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "X-aws-ec2-metadata-token-ttl-seconds must be 1 to 21600",
            ),
            Self::Version1 => {
                (StatusCode::UNAUTHORIZED, "Unauthorized", "ask for a token first: IMDSv1 is off")
            }
        }
    }

    pub(crate) fn allowed_methods(self) -> Option<&'static str> {
        (self == Self::Method).then_some("GET")
    }
}

impl Refusals {
    pub(crate) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often there was this reason.
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize].load(Ordering::Relaxed)
    }
}
