//! What a Redis that can't be used is told as, and whether another connection may mend it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::address::{Address, Servers};
use crate::stores::StoreError;

/// What a server says first in an error, what that means here, and what to do.
struct Word {
    code: &'static str,
    meaning: &'static str,
    hint: &'static str,
    /// The same server will say it again, on whichever connection.
    is_of_server: bool,
}

const PASSWORD: &str = "put the right user and password into the store's address: \
                        redis://USER:PASSWORD@HOST, or redis://:PASSWORD@HOST";
const PRIMARY: &str = "give the primary's address, or that of the sentinels, who know it: \
                       redis+sentinel://HOST:PORT/MASTER";
const WAIT: &str = "it mends itself when the server is ready; sessions are fetched without it \
                    meanwhile";

const WORDS: &[Word] = &[
    of_connection("WRONGPASS", "refuses this user and password", PASSWORD),
    of_connection("NOAUTH", "wants a user and a password", PASSWORD),
    of_server(
        "NOPERM",
        "doesn't let this user do what a store does",
        "allow it: ACL SETUSER NAME ~rolekeeper:* &rolekeeper:* +eval +time +get +set +del +pttl \
         +hmget +hset +pexpire +publish +subscribe +unsubscribe +ping +cluster|slots +role",
    ),
    of_connection("READONLY", "is a replica, which nothing can be saved to", PRIMARY),
    of_connection("MASTERDOWN", "is a replica that has lost its primary", PRIMARY),
    of_connection("LOADING", "is still reading its data", WAIT),
    of_connection("CLUSTERDOWN", "is a cluster that lacks some of its parts", WAIT),
    of_connection("TRYAGAIN", "is a cluster that moves this session just now", WAIT),
    of_connection("MOVED", "is one node of a cluster", "write redis+cluster://HOST:PORT"),
    of_connection("ASK", "is one node of a cluster", "write redis+cluster://HOST:PORT"),
    of_server(
        "OOM",
        "is full",
        "raise its `maxmemory`, or let it drop what ends soonest: `maxmemory-policy volatile-ttl`",
    ),
    of_server(
        "MISCONF",
        "can't write its data to its disk, and takes none",
        "look into the server's log; its disk may be full",
    ),
    of_server(
        "NOREPLICAS",
        "has fewer replicas than it wants, and takes no data",
        "look at its replicas, or its `min-replicas-to-write`",
    ),
    of_server("BUSY", "is busy with somebody's script", WAIT),
    of_server(
        "WRONGTYPE",
        "has something else under the names of this store",
        "give the store a database of its own: redis://HOST:PORT/DB",
    ),
    of_connection("NOPROTO", "is too old", "take Redis 6 or newer, or Valkey"),
];

const fn of_connection(code: &'static str, meaning: &'static str, hint: &'static str) -> Word {
    Word { code, meaning, hint, is_of_server: false }
}

const fn of_server(code: &'static str, meaning: &'static str, hint: &'static str) -> Word {
    Word { code, meaning, hint, is_of_server: true }
}

/// Whether the connection is to be thrown away: it may lead to a server that is no longer the right
/// one, or nowhere.
pub(super) fn needs_another_connection(error: &RedisError) -> bool {
    match word(error) {
        Some(word) => !word.is_of_server,
        None => !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension),
    }
}

pub(super) fn told(address: &Address, error: &RedisError) -> StoreError {
    if let Some(word) = word(error) {
        let is_redirection = word.code == "MOVED" || word.code == "ASK";
        let (meaning, hint) = match address.servers {
            Servers::Cluster(_) if is_redirection => ("moves its sessions just now", WAIT),
            _ => (word.meaning, word.hint),
        };
        return StoreError::new(format!("{address} {meaning}")).with_hint(hint);
    }
    let text = error.to_string();
    let lower = text.to_lowercase();
    if error.kind() == ErrorKind::AuthenticationFailed {
        return StoreError::new(format!("{address} refuses this user and password"))
            .with_hint(PASSWORD);
    }
    // Old servers repeat what they don't understand, and with it the password.
    if error.kind() == ErrorKind::RESP3NotSupported || lower.contains("unknown command") {
        return StoreError::new(format!("{address} is too old: it has no RESP3"))
            .with_hint("take Redis 6 or newer, or Valkey");
    }
    let hint = if lower.contains("certificate") {
        "name the file with the certificate that signed the server's: rediss://HOST?ca=PATH"
    } else if address.tls.is_some() {
        "check that it runs there, can be reached from here, and speaks TLS"
    } else {
        "check that it runs there, can be reached from here, and doesn't want TLS (rediss://)"
    };
    StoreError::new(format!("cannot use {address}: {}", address.without_password(&text)))
        .with_hint(hint)
}

/// Of an error within a script, older servers write their word into the text.
fn word(error: &RedisError) -> Option<&'static Word> {
    let known = |text: &str| WORDS.iter().find(|word| word.code == text);
    if let Some(word) = error.code().and_then(known) {
        return Some(word);
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::AuthenticationFailed => {
            let mut words = error.detail()?.split_whitespace();
            words.find_map(|word| known(word.trim_start_matches('-')))
        }
        // A cluster's client tells why it reached no node as text.
        ErrorKind::Io => {
            let text = error.to_string();
            let mut words = text.split(|c: char| !c.is_ascii_uppercase());
            words.find_map(known)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address::parse("redis://me:geheim@h").unwrap()
    }

    fn server(text: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn what_a_server_says_is_told_with_what_to_do() {
        for (said, told_as, is_over) in [
            ("NOAUTH Authentication required.", "wants a user", true),
            ("WRONGPASS invalid username-password pair", "refuses this user", true),
            ("READONLY You can't write against a read only replica. script: 1", "a replica", true),
            (
                "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
                "a replica",
                true,
            ),
            ("ERR Error running script: @user_script: 1: -OOM command not allowed", "full", false),
            ("OOM command not allowed when used memory > 'maxmemory'.", "is full", false),
            ("LOADING Redis is loading the dataset in memory", "still reading", true),
            ("MOVED 3999 127.0.0.1:6381", "one node of a cluster", true),
            ("NOPERM User me has no permissions to run the 'eval' command", "doesn't let", false),
            ("ERR unknown command `HELLO`, with args: `3`, `AUTH`, `geheim`", "too old", false),
            ("ERR whatever geheim is", "whatever … is", false),
        ] {
            let error = server(said);
            let told = told(&address(), &error);
            assert!(told.message.contains(told_as), "{said}: {told}");
            assert!(told.message.contains("redis://h:6379"), "{told}");
            assert!(told.hint.is_some());
            assert!(!format!("{told:?}").contains("geheim"), "{told:?}");
            assert_eq!(needs_another_connection(&error), is_over, "{said}");
        }
    }

    #[test]
    fn a_connection_that_is_broken_is_not_used_again() {
        let error = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(needs_another_connection(&error));
        assert!(told(&address(), &error).message.starts_with("cannot use redis://h:6379: "));
    }
}
