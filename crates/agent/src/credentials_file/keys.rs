//! Which keys of a credentials file a session becomes.

use rolekeeper::Session;
use zeroize::Zeroizing;

use super::Unclear;

/// By what `aws_access_key_id` belongs to a session, and is no long-term key.
pub(super) const MARKS_OF_A_SESSION: [&str; 3] = [TOKEN, OLD_TOKEN, EXPIRES];

pub(super) const ACCESS_KEY_ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// Its name up to 2014. botocore takes it before the newer one, so that one left over would go
/// with a key that it does not belong to.
const OLD_TOKEN: &str = "aws_security_token";

const ACCOUNT_ID: &str = "aws_account_id";

/// No SDK reads when a key of the file ends. People's prompts do (Starship), under the name that
/// saml2aws gave it and okta-aws-cli took over.
const EXPIRES: &str = "x_security_token_expires";

/// All keys that are ours, in the order in which new ones are written, each with its value or with
/// none where it has to go.
pub struct Keys([(&'static str, Option<Zeroizing<String>>); 6]);

// === impl Keys ===

impl Keys {
    /// As SDKs read them.
    ///
    /// # Errors
    /// [`Unclear::Value`]: a value has a blank or a control character in it, by which it would end
    /// early or become a line of its own.
    pub fn of(session: &Session) -> Result<Self, Unclear> {
        let credentials = session.credentials();
        let expires = session.expiration().to_string();
        let keys = Self([
            (ACCESS_KEY_ID, value(&credentials.access_key_id)),
            (SECRET, value(credentials.secret_access_key.expose())),
            (TOKEN, value(credentials.session_token.expose())),
            (OLD_TOKEN, None),
            (ACCOUNT_ID, session.account_id().and_then(value)),
            (EXPIRES, value(&expires)),
        ]);
        for (name, value) in keys.written() {
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Unclear::Value { key: name });
            }
        }
        Ok(keys)
    }

    /// Every key, with its value or with none.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (*name, value.as_ref().map(|value| value.as_str())))
    }

    /// Those that have a value.
    pub(super) fn written(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.all().filter_map(|(name, value)| Some((name, value?)))
    }

    /// How much room they need at most.
    pub(super) fn room(&self) -> usize {
        self.all().map(|(name, value)| name.len() + value.map_or(0, str::len) + 8).sum()
    }
}

/// Whether a key of the file is one of ours.
pub(super) fn position(key: &[u8]) -> Option<usize> {
    [ACCESS_KEY_ID, SECRET, TOKEN, OLD_TOKEN, ACCOUNT_ID, EXPIRES]
        .iter()
        .position(|ours| key.eq_ignore_ascii_case(ours.as_bytes()))
}

/// Long-term keys have no token; an empty one would be sent.
fn value(text: &str) -> Option<Zeroizing<String>> {
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}
