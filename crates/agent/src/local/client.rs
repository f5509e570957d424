//! The other side: how a command asks an agent that runs. It blocks, and nothing runs beside it: a
//! program that `credential_process` names is started for each answer.

use std::{
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::sockets;
use crate::config::AwsFilePaths;

pub use super::status::{AgentStatus, LastError, RoleStatus};

/// An agent holds a request for 1.5 s; one that takes longer is in trouble.
const PATIENCE: Duration = Duration::from_secs(5);

/// The status of 10,000 roles has some 5 MB.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What an agent has answered.
#[derive(Debug)]
pub enum Answer<T> {
    /// What was asked for.
    Here(T),
    /// It doesn't serve that.
    NotServed,
    /// It has no session.
    Unavailable(NoSession),
}

/// Why it has none.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct NoSession {
    /// The role's ARN, or the name of another source.
    pub role: String,
    /// Who can mend it.
    pub kind: String,
    /// What happened.
    pub failure: String,
    /// What to do.
    pub hint: Option<String>,
}

/// How it is with each of its roles.
///
/// # Errors
/// No agent listens there, it is another user's, or its answer makes no sense; `Unsupported` where
/// there are no Unix sockets.
pub fn status(socket: &Path) -> io::Result<AgentStatus> {
    let (status, body) = ask(socket, super::STATUS)?;
    if status != 200 {
        return Err(senseless(format!("it answered {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| senseless(error.to_string()))
}

/// The session of the role that is made of this profile of the files that this process would read,
/// as `credential_process` prints it.
///
/// # Errors
/// As [`status`].
pub fn credentials_of_profile(
    socket: &Path,
    profile: &str,
) -> io::Result<Answer<Zeroizing<Vec<u8>>>> {
    let AwsFilePaths { config, credentials } = AwsFilePaths::of_this_process();
    let mut path = format!("{}?profile={}", super::CREDENTIALS, escaped(profile));
    for (name, file) in [("config", config), ("credentials", credentials)] {
        if let Some(file) = file.as_deref().and_then(Path::to_str) {
            path.extend(["&", name, "=", &escaped(file).to_string()]);
        }
    }
    let (status, body) = ask(socket, &path)?;
    Ok(match status {
        200 => Answer::Here(body),
        404 => Answer::NotServed,
        503 => Answer::Unavailable(refused(&body)?),
        other => return Err(senseless(format!("it answered {other}"))),
    })
}

fn refused(body: &[u8]) -> io::Result<NoSession> {
    serde_json::from_slice(body).map_err(|error| senseless(error.to_string()))
}

fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn ask(socket: &Path, path: &str) -> io::Result<(u16, Zeroizing<Vec<u8>>)> {
    let mut stream = sockets::connect(socket, PATIENCE)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Zeroizing::new(Vec::with_capacity(8 * 1024));
    stream.take(LARGEST).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or_else(|| senseless("its answer has no end".to_owned()))?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = str::from_utf8(head).map_err(|error| senseless(error.to_string()))?;
    // An agent that died in the middle has not answered.
    if length_of(head) != Some(body.len()) {
        return Err(senseless("its answer is not whole".to_owned()));
    }
    let status = status_of(head).ok_or_else(|| senseless("its answer is no HTTP".to_owned()))?;
    Ok((status, Zeroizing::new(body.to_vec())))
}

/// `HTTP/1.1 200 OK`
fn status_of(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}

fn length_of(head: &str) -> Option<usize> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?.1;
    length.trim().parse().ok()
}

fn senseless(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
