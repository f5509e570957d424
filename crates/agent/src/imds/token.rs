//! The tokens of IMDSv2: that the client can make a `PUT` with a header of its own and read the
//! answer, which a page in a browser, or a request forged through somebody else's server, cannot.
//!
//! A token carries its end and a seal over it, so that nothing has to be remembered of it: however
//! many are asked for, and clients ask for one at every read, the memory is that of the key.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use hmac::{Hmac, Mac};
use rolekeeper::{Elapsed, Secret};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::tokens::Tokens;

/// How long a token is good for: 1 second to 6 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime(u16);

/// Seals the tokens of one listener, and knows them again.
pub(super) struct Key {
    secret: Secret,
    /// Two listeners that share a secret don't take each other's tokens.
    listener: SocketAddr,
}

/// The end, in hexadecimal, comes before the seal.
const END_DIGITS: usize = 16;

// === impl Lifetime ===

impl Lifetime {
    const LONGEST: Self = Self(21_600);

    /// Decimal digits and nothing else.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let seconds = str::from_utf8(text).ok()?.parse().ok()?;
        (1..=Self::LONGEST.0).contains(&seconds).then_some(Self(seconds))
    }

    pub(super) fn as_secs(self) -> u16 {
        self.0
    }

    fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

// === impl Key ===

impl Key {
    /// A random one, which ends with the listener.
    pub(super) fn random(listener: SocketAddr) -> io::Result<Self> {
        Ok(Self { secret: Tokens::random()?.newest(), listener })
    }

    /// The one in this file, which is made if it is missing: a token outlives a restart. The Rust
    /// SDK needs that: upon 401 it asks again with the same token, until the token's end.
    pub(super) fn in_file(path: &Path, listener: SocketAddr) -> io::Result<Self> {
        Ok(Self { secret: Tokens::in_file(path)?.newest(), listener })
    }

    pub(super) fn issue(&self, now: Elapsed, lifetime: Lifetime) -> String {
        self.seal(now.after(lifetime.duration()))
    }

    /// In a time that tells nothing about the right seal.
    pub(super) fn admits(&self, now: Elapsed, token: &[u8]) -> bool {
        let Some(end) = end_of(token) else { return false };
        let is_ours = bool::from(self.seal(end).as_bytes().ct_eq(token));
        // Elapsed time begins anew when the machine does: what is further off than any token can be
        // is from before.
        let left = end.since(now);
        is_ours && !left.is_zero() && left <= Lifetime::LONGEST.duration()
    }

    /// The token that ends then.
    fn seal(&self, end: Elapsed) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()) else {
            return String::new();
        };
        mac.update(self.listener.to_string().as_bytes());
        mac.update(b" ");
        mac.update(&end.as_nanos().to_be_bytes());
        format!("{:016x}{:x}", end.as_nanos(), mac.finalize().into_bytes())
    }
}

fn end_of(token: &[u8]) -> Option<Elapsed> {
    let digits = str::from_utf8(token.get(..END_DIGITS)?).ok()?;
    // A sign would be taken as a digit; the seal, made anew from the number, then has none.
    i64::from_str_radix(digits, 16).ok().map(Elapsed::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Elapsed = Elapsed::from_nanos(1_000_000_000_000);

    fn listener(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn key() -> Key {
        Key { secret: Secret::new("the key of a test"), listener: listener(80) }
    }

    fn seconds(text: &str) -> Lifetime {
        Lifetime::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_lifetime_is_1_to_21600_seconds_in_digits() {
        for (text, expected) in [
            ("1", Some(1)),
            ("21600", Some(21_600)),
            ("060", Some(60)),
            ("0", None),
            ("21601", None),
            ("65537", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("+60", None),
            ("60 ", None),
            ("6e1", None),
            ("60.0", None),
            ("", None),
            ("\u{0661}", None), // a digit, but none of ASCII's
        ] {
            let got = Lifetime::parse(text.as_bytes()).map(Lifetime::as_secs);
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn a_token_is_good_until_its_end_by_elapsed_time_and_no_moment_longer() {
        let token = key().issue(START, seconds("60"));
        for (at, good) in [
            (START, true),
            (START.after(Duration::from_nanos(59_999_999_999)), true),
            (START.after(Duration::from_secs(60)), false),
            (START.after(Duration::from_secs(600)), false),
        ] {
            assert_eq!(key().admits(at, token.as_bytes()), good, "{at:?}");
        }
    }

    #[test]
    fn a_token_from_before_the_machine_was_started_anew_is_refused() {
        let token = key().issue(START.after(Duration::from_secs(1)), seconds("21600"));
        assert!(!key().admits(START, token.as_bytes()));
        let token = key().issue(START, seconds("21600"));
        assert!(key().admits(START, token.as_bytes()));
    }

    #[test]
    fn neither_another_key_nor_another_listener_takes_it() {
        let token = key().issue(START, seconds("60"));
        let other_key = Key { secret: Secret::new("another key"), ..key() };
        let other_listener = Key { listener: listener(81), ..key() };
        assert!(!other_key.admits(START, token.as_bytes()));
        assert!(!other_listener.admits(START, token.as_bytes()));
        assert!(key().admits(START, token.as_bytes()));
    }

    #[test]
    fn a_key_in_a_file_outlives_the_process_and_a_random_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("imds.key");
        let from_file = || Key::in_file(&path, listener(80)).unwrap();
        let token = from_file().issue(START, seconds("60"));
        assert!(from_file().admits(START, token.as_bytes()));
        let token = Key::random(listener(80)).unwrap().issue(START, seconds("60"));
        assert!(!Key::random(listener(80)).unwrap().admits(START, token.as_bytes()));
    }

    #[test]
    fn no_character_of_a_token_can_be_another() {
        let token = key().issue(START, seconds("60"));
        assert!(!key().admits(START, token.to_uppercase().as_bytes()));
        for at in 0..token.len() {
            for other in [b'0', b'f', b'+', b' ', 0, 0xff] {
                let mut bytes = token.clone().into_bytes();
                let is_same = std::mem::replace(&mut bytes[at], other) == other;
                assert_eq!(key().admits(START, &bytes), is_same, "{other} at {at}");
            }
            assert!(!key().admits(START, &token.as_bytes()[..at]));
        }
        assert!(!key().admits(START, format!("{token}0").as_bytes()));
    }

    proptest! {
        #[test]
        fn nothing_but_a_token_is_admitted_and_nothing_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            now in any::<i64>(),
        ) {
            prop_assert!(!key().admits(Elapsed::from_nanos(now), &bytes));
            let _ = Lifetime::parse(&bytes);
        }

        #[test]
        fn what_looks_like_a_token_is_not_admitted_either(
            text in "[+-]?[0-9a-f]{15,17}[0-9a-f]{63,65}",
            now in any::<i64>(),
        ) {
            prop_assert!(!key().admits(Elapsed::from_nanos(now), text.as_bytes()));
        }

        #[test]
        fn every_token_is_admitted_at_every_moment_of_its_life(
            now in 0..i64::MAX / 2,
            lifetime in 1..=21_600_u16,
            part in 0.0..0.999_f64,
        ) {
            let start = Elapsed::from_nanos(now);
            let token = key().issue(start, Lifetime(lifetime));
            let later = start.after(Duration::from_secs(lifetime.into()).mul_f64(part));
            prop_assert!(key().admits(later, token.as_bytes()));
        }
    }
}
