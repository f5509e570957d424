//! Decides whether an MFA code is right: RFC 6238, 30 seconds a step, SHA-1, each code once.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::clock::Moment;

const STEP_SECONDS: i64 = 30;

/// Steps used of late, by the device's serial number.
#[derive(Debug, Default)]
pub(crate) struct UsedCodes(HashMap<String, Vec<i64>>);

impl UsedCodes {
    /// Whether `code` is right now, or was one step ago, or will be one step on; and is new.
    pub(crate) fn accept(&mut self, serial: &str, seed: &[u8], code: &str, now: Moment) -> bool {
        let current = step(now);
        let used = self.0.entry(serial.to_owned()).or_default();
        used.retain(|step| *step >= current - 1);
        let fresh = (current - 1..=current + 1)
            .find(|step| self::code(seed, *step) == code && !used.contains(step));
        used.extend(fresh);
        fresh.is_some()
    }
}

/// The code of this moment.
pub(crate) fn current_code(seed: &[u8], now: Moment) -> String {
    code(seed, step(now))
}

/// Reads a base32 seed (RFC 4648, in either case, padded or not, spaces allowed).
pub(crate) fn decode_seed(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes().filter(|byte| *byte != b' ') {
        let value = match letter.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // An empty seed would make a code that everybody knows.
    (!bytes.is_empty()).then_some(bytes)
}

fn step(now: Moment) -> i64 {
    now.unix_seconds().div_euclid(STEP_SECONDS)
}

fn code(seed: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(seed).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 0x0f);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Moment {
        Moment::from_unix_seconds(seconds)
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(current_code(SEED, at(seconds)), code);
        }
    }

    #[test]
    fn a_code_holds_one_step_before_and_after_its_own() {
        for (now, right) in [(-31, false), (-30, true), (0, true), (59, true), (60, false)] {
            let mut used = UsedCodes::default();
            let code = current_code(SEED, at(1_200_000_000));
            assert_eq!(used.accept("s", SEED, &code, at(1_200_000_000 + now)), right, "{now}");
        }
    }

    #[test]
    fn a_code_is_good_once() {
        let mut used = UsedCodes::default();
        let code = current_code(SEED, at(59));
        assert!(used.accept("s", SEED, &code, at(59)));
        assert!(!used.accept("s", SEED, &code, at(60)));
        assert!(used.accept("another", SEED, &code, at(60)));
    }

    #[test]
    fn a_seed_is_base32() {
        assert_eq!(decode_seed("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(), SEED);
        assert_eq!(decode_seed("gezd gnbv gy3t qojq====").unwrap(), b"1234567890");
        assert_eq!(decode_seed("1"), None);
        assert_eq!(decode_seed(""), None);
    }
}
