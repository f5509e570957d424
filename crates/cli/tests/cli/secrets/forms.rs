//! The forms in which a secret could be seen, and the search for them: also for a part of one, since
//! a text may have been cut off, or overwritten at its beginning.

use std::path::Path;

use base64ct::{Base64Unpadded, Encoding};
use memchr::memmem;

/// Twenty characters of a key are found by nobody's chance, and a key of forty has two such parts.
const PIECE: usize = 20;

/// All secrets that are known so far, each with what it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Known(Vec<(&'static str, String)>);

/// A form's name, and these bytes in it.
type Form = (&'static str, Vec<u8>);

/// Where one was found. The secret itself is in no test's output either.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) what: &'static str,
    form: &'static str,
    at: usize,
}

// === impl Known ===

impl Known {
    #[must_use]
    pub(super) fn and(mut self, what: &'static str, secret: &str) -> Self {
        assert!(secret.len() >= PIECE, "too short to be told from any other text");
        if !self.0.iter().any(|(_, known)| known == secret) {
            self.0.push((what, secret.to_owned()));
        }
        self
    }

    #[must_use]
    pub(super) fn and_all(self, all: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        all.into_iter().fold(self, |known, (what, secret)| known.and(what, &secret))
    }

    /// All but those of these.
    #[must_use]
    pub(super) fn without(self, others: &[Self]) -> Self {
        let is_other = |secret: &(_, _)| others.iter().any(|known| known.0.contains(secret));
        Self(self.0.into_iter().filter(|secret| !is_other(secret)).collect())
    }

    /// Every place where a part of one stands, in any form.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<Found> {
        self.found(bytes, forms)
    }

    /// The same, of secrets as they are: for memory, which is large.
    pub(super) fn found_plain_in(&self, bytes: &[u8]) -> Vec<Found> {
        self.found(bytes, |piece| vec![("plain", piece.to_vec())])
    }

    fn found(&self, bytes: &[u8], forms: fn(&[u8]) -> Vec<Form>) -> Vec<Found> {
        let mut all = Vec::new();
        for (what, secret) in &self.0 {
            for piece in secret.as_bytes().chunks_exact(PIECE) {
                for (form, needle) in forms(piece) {
                    let at = memmem::find(bytes, &needle);
                    all.extend(at.map(|at| Found { what, form, at }));
                }
            }
        }
        all
    }

    #[track_caller]
    pub(super) fn assert_none_in(&self, bytes: impl AsRef<[u8]>, place: impl AsRef<Path>) {
        let found = self.found_in(bytes.as_ref());
        assert_eq!(found, [], "{}", place.as_ref().display());
    }
}

/// How somebody may have written these bytes.
fn forms(piece: &[u8]) -> Vec<Form> {
    let each =
        |form: &dyn Fn(u8) -> String| piece.iter().map(|byte| form(*byte)).collect::<String>();
    let escaped_unless = |is_plain: &dyn Fn(u8) -> bool, escape: &dyn Fn(u8) -> String| {
        each(&|byte| if is_plain(byte) { char::from(byte).to_string() } else { escape(byte) })
    };
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let texts = [
        ("percent-encoded", escaped_unless(&is_unreserved, &|byte| format!("%{byte:02X}"))),
        ("percent-encoded in small letters", {
            escaped_unless(&is_unreserved, &|byte| format!("%{byte:02x}"))
        }),
        ("JSON with escaped slashes", escaped_unless(&|byte| byte != b'/', &|_| r"\/".to_owned())),
        ("hexadecimal", each(&|byte| format!("{byte:02x}"))),
        ("hexadecimal in capitals", each(&|byte| format!("{byte:02X}"))),
        ("a list of numbers", numbers(piece, ", ")),
        ("a list of numbers without spaces", numbers(piece, ",")),
    ];
    let mut all =
        vec![("plain", piece.to_vec()), ("reversed", piece.iter().rev().copied().collect())];
    all.extend(texts.map(|(form, text)| (form, text.into_bytes())));
    all.extend((0..3).map(|before| ("base64", base64_after(before, piece))));
    all
}

fn numbers(piece: &[u8], between: &str) -> String {
    piece.iter().map(u8::to_string).collect::<Vec<_>>().join(between)
}

/// As it stands in the base64 of a longer text, so many bytes after a whole triple: of that, only the
/// letters that the bytes around it have no part in.
fn base64_after(before: usize, piece: &[u8]) -> Vec<u8> {
    let text = Base64Unpadded::encode_string(&[&vec![0; before], piece].concat());
    let (begin, end) = ((before * 8).div_ceil(6), (before + piece.len()) * 8 / 6);
    text.as_bytes()[begin..end].to_vec()
}

#[test]
fn a_secret_is_found_in_every_form_and_in_part() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let known = Known::default().and("secret", secret);
    let percent = secret.replace('/', "%2F").replace('+', "%2B");
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut texts = vec![
        secret.to_owned(),
        secret[..25].to_owned(),
        secret[15..].to_owned(),
        percent.to_lowercase().replace("%2f", "%2F"),
        hex.to_uppercase(),
        hex,
        secret.replace('/', r"\/"),
        format!("{:?}", secret.as_bytes()),
        secret.chars().rev().collect(),
    ];
    texts[3] = percent;
    texts.extend(["", "a", "ab"].map(|before| {
        Base64Unpadded::encode_string(format!("{before}{secret} and more").as_bytes())
    }));
    for (number, text) in texts.iter().enumerate() {
        let around = format!("before {text} after");
        assert_ne!(known.found_in(around.as_bytes()), [], "the form of number {number}");
    }
    known.assert_none_in("wJalrXUtnFEMI, the beginning of one", "a name");
}
