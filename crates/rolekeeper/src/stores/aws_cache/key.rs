//! By which name botocore keeps a role's session: `_create_cache_key` of its `credentials.py`.

use std::{fmt::Write, time::Duration};

use sha1::{Digest, Sha1};

/// What STS gives if it isn't asked for a duration.
const USUAL_LIFETIME: Duration = Duration::from_secs(3600);

/// Under which botocore keeps a session: a hash of the parameters that a profile can have. Who
/// assumes the role is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCacheKey {
    name: String,
    lifetime: Duration,
}

/// What a profile of botocore's says of a role.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    pub(crate) role_arn: &'a str,
    pub(crate) session_name: Option<&'a str>,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) mfa_serial: Option<&'a str>,
    pub(crate) duration_seconds: Option<i32>,
}

// === impl AwsCacheKey ===

impl AwsCacheKey {
    /// The file's name without `.json`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long such a session lasts from its beginning, of which its file says nothing.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

// === impl Arguments ===

impl Arguments<'_> {
    /// `None` for text that Python's JSON would write with escapes: no ARN of AWS has such.
    pub(crate) fn key(self) -> Option<AwsCacheKey> {
        let Self { role_arn, session_name, external_id, mfa_serial, duration_seconds } = self;
        // Sorted by name, as `json.dumps(…, sort_keys=True)` writes it.
        let mut fields: Vec<String> = Vec::new();
        fields.extend(duration_seconds.map(|seconds| format!("\"DurationSeconds\": {seconds}")));
        for (name, value) in [
            ("ExternalId", external_id),
            ("RoleArn", Some(role_arn)),
            ("RoleSessionName", session_name),
            ("SerialNumber", mfa_serial),
        ] {
            let Some(value) = value else { continue };
            if !is_plain(value) {
                return None;
            }
            fields.push(format!("\"{name}\": \"{value}\""));
        }
        let hash = Sha1::digest(format!("{{{}}}", fields.join(", ")));
        let name = hash.iter().fold(String::new(), |mut name, byte| {
            // Into a string: it can't fail.
            let _ = write!(name, "{byte:02x}");
            name
        });
        let seconds = duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Some(AwsCacheKey { name, lifetime: seconds.map_or(USUAL_LIFETIME, Duration::from_secs) })
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Arguments<'static> = Arguments {
        role_arn: "arn:aws:iam::123456789012:role/etl",
        session_name: None,
        external_id: None,
        mfa_serial: None,
        duration_seconds: None,
    };

    /// The names are botocore 1.44.5's own: `AssumeRoleCredentialFetcher(None, None, role_arn,
    /// extra_args=…)._cache_key`.
    #[test]
    fn the_names_are_those_of_botocore() {
        let mfa = Some("arn:aws:iam::123456789012:mfa/alice");
        let all = Arguments {
            external_id: Some("a:b/c=d"),
            mfa_serial: Some("GAHT12345678"),
            duration_seconds: Some(900),
            session_name: Some("job@host"),
            ..PLAIN
        };
        for (arguments, name) in [
            (PLAIN, "c2bbf6b13701d249de25ee17141564c118087d5a"),
            (
                Arguments { external_id: Some("customer-7"), ..PLAIN },
                "1f49012e61fdc5070a5fa3692954a4f3bf77fe14",
            ),
            (Arguments { mfa_serial: mfa, ..PLAIN }, "bebc89626968bffcfdd9ad5858c5fd5ccb354e76"),
            (
                Arguments { duration_seconds: Some(7200), ..PLAIN },
                "55bafbc7134d84aef4dd528070c16ac665689f18",
            ),
            (
                Arguments { session_name: Some("job"), ..PLAIN },
                "0abe6af6670387352772c08b51e699aa71e03a8d",
            ),
            (all, "819c382c9f82babd7485adebb9e20c2a2cc31949"),
        ] {
            assert_eq!(arguments.key().unwrap().name(), name);
        }
    }

    #[test]
    fn what_python_would_write_otherwise_has_no_name() {
        for odd in ["é", "\"", "\\", "\u{7f}", "\n"] {
            let role_arn = format!("arn:aws:iam::123456789012:role/{odd}");
            assert_eq!(Arguments { role_arn: &role_arn, ..PLAIN }.key(), None, "{odd:?}");
        }
    }

    #[test]
    fn a_session_lasts_an_hour_or_as_long_as_it_was_asked_to() {
        let lifetime = |arguments: Arguments<'_>| arguments.key().unwrap().lifetime();
        assert_eq!(lifetime(PLAIN), Duration::from_secs(3600));
        let longer = Arguments { duration_seconds: Some(7200), ..PLAIN };
        assert_eq!(lifetime(longer), Duration::from_secs(7200));
    }
}
