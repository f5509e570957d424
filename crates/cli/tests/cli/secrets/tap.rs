//! A listener between commands and their STS: it knows every secret key and session token that was
//! issued, whole or in an answer that was cut off.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::Known;
use crate::support::{ANY_PORT, Invocation, Sts};

/// What STS has said on each connection.
type Heard = Arc<Mutex<Vec<Arc<Mutex<Vec<u8>>>>>>;

/// It listens as long as the test program runs.
pub(super) struct Tap {
    address: SocketAddr,
    heard: Heard,
}

// === impl Tap ===

impl Tap {
    pub(super) fn before(sts: &Sts) -> Self {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
        let (service, all) = (sts.endpoint_url().replace("http://", ""), Arc::clone(&heard));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let words = Arc::default();
                all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&words));
                // A sandbox that has gone serves nobody any more.
                let Ok(server) = TcpStream::connect(&service) else { continue };
                let (to_server, to_client) = (server.try_clone(), client.try_clone());
                if let (Ok(to_server), Ok(to_client)) = (to_server, to_client) {
                    thread::spawn(move || pass_on(client, to_server, |_| {}));
                    thread::spawn(move || pass_on(server, to_client, |part| keep(&words, part)));
                }
            }
        });
        Self { address, heard }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A command that calls STS through it.
    pub(super) fn under(&self, invocation: Invocation) -> Invocation {
        invocation.env("AWS_ENDPOINT_URL", self.url())
    }

    /// These, and all that was issued so far.
    pub(super) fn known(&self, so_far: &Known) -> Known {
        let connections = self.heard.lock().unwrap();
        let texts = connections
            .iter()
            .map(|words| String::from_utf8_lossy(&words.lock().unwrap()).into_owned());
        let texts = texts.collect::<Vec<_>>();
        let secrets = texts.iter().flat_map(|text| {
            let keys = elements(text, "SecretAccessKey").map(|key| ("a session's secret key", key));
            keys.chain(elements(text, "SessionToken").map(|token| ("a session token", token)))
        });
        so_far.clone().and_all(secrets.filter(|(_, secret)| secret.len() >= 40))
    }
}

fn keep(words: &Mutex<Vec<u8>>, part: &[u8]) {
    words.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
}

/// Whatever comes, until it ends.
fn pass_on(mut from: TcpStream, mut to: TcpStream, mut hear: impl FnMut(&[u8])) {
    let mut part = [0; 4096];
    while let Ok(length) = from.read(&mut part) {
        hear(&part[..length]);
        if length == 0 || to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// What stands in elements of this name; of the last one, as much as came.
fn elements(text: &str, name: &str) -> impl Iterator<Item = String> {
    let begin = format!("<{name}>");
    let parts = text.split(&begin).skip(1).map(|rest| rest.split('<').next().unwrap_or(rest));
    parts.map(str::to_owned).collect::<Vec<_>>().into_iter()
}
