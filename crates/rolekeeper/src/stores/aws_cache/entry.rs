//! What is in a file of theirs: STS' answer, as botocore's `JSONFileCache` writes it.

use rolekeeper_core::{Credentials, Issued, WallTime};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{sources::account_of, stores::record::written};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    credentials: Given,
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed_role_user: Option<User>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    expiration: String,
    /// Since botocore 1.34.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct User {
    arn: String,
}

/// `None`: it makes no sense.
pub(in crate::stores) fn read(text: &[u8]) -> Option<Issued> {
    let Answer { credentials: given, assumed_role_user } = serde_json::from_slice(text).ok()?;
    let is_empty = |text: &str| text.trim().is_empty();
    if is_empty(&given.access_key_id)
        || is_empty(&given.secret_access_key)
        || is_empty(&given.session_token)
    {
        return None;
    }
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key.as_str(),
        given.session_token.as_str(),
    );
    let mut issued = Issued::new(credentials, time(&given.expiration)?);
    let arn = assumed_role_user.map(|user| user.arn).filter(|arn| !arn.is_empty());
    issued.account_id = given.account_id.or_else(|| account_of(arn.as_deref()?));
    issued.assumed_role_arn = arn;
    Some(issued)
}

/// With this for its end.
pub(in crate::stores) fn write(issued: &Issued, expiration: WallTime) -> Zeroizing<Vec<u8>> {
    let Issued { credentials, account_id, assumed_role_arn, .. } = issued;
    written(&Answer {
        credentials: Given {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.expose().to_owned().into(),
            session_token: credentials.session_token.expose().to_owned().into(),
            expiration: expiration.to_string().replace('Z', "UTC"),
            account_id: account_id.clone(),
        },
        assumed_role_user: assumed_role_arn.clone().map(|arn| User { arn }),
    })
}

/// `…UTC` is botocore's; other writers of these files end in `Z` or `+00:00`.
fn time(text: &str) -> Option<WallTime> {
    let text = text.strip_suffix("UTC").map_or(text.to_owned(), |time| format!("{time}Z"));
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(WallTime::from_unix_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(expiration: &str) -> String {
        format!(
            r#"{{"Credentials": {{"AccessKeyId": "ASIAONE", "SecretAccessKey": "secret",
            "SessionToken": "token", "Expiration": "{expiration}"}}, "AssumedRoleUser":
            {{"AssumedRoleId": "AROA:job", "Arn": "arn:aws:sts::123456789012:assumed-role/etl/job"}},
            "ResponseMetadata": {{"RetryAttempts": 0}}}}"#
        )
    }

    #[test]
    fn each_way_to_write_the_end_is_the_same_end() {
        for end in ["2026-11-22T21:00:00UTC", "2026-11-22T21:00:00Z", "2026-11-22T22:00:00+01:00"] {
            let issued = read(text(end).as_bytes()).unwrap();
            assert_eq!(issued.expiration.to_string(), "2026-11-22T21:00:00Z");
        }
    }

    #[test]
    fn the_account_is_the_roles_where_nothing_else_tells() {
        let issued = read(text("2026-11-22T21:00:00UTC").as_bytes()).unwrap();
        assert_eq!(issued.account_id.as_deref(), Some("123456789012"));
    }

    #[test]
    fn what_lacks_a_part_makes_no_sense() {
        let whole = text("2026-11-22T21:00:00UTC");
        for (part, other) in [
            ("Credentials", "Other"),
            ("SecretAccessKey", "Other"),
            ("\"secret\"", "\" \""),
            ("\"token\"", "7"),
            ("2026-11-22T21:00:00UTC", "tomorrow"),
            ("2026-11-22T21:00:00UTC", "9999-11-22T21:00:00UTC"),
            ("{", "["),
        ] {
            assert!(read(whole.replace(part, other).as_bytes()).is_none(), "{part}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let issued = read(text("2026-11-22T21:00:00UTC").as_bytes()).unwrap();
        let written = write(&issued, issued.expiration);
        assert!(String::from_utf8_lossy(&written).contains(r#""2026-11-22T21:00:00UTC""#));
        assert_eq!(read(&written), Some(issued));
    }
}
