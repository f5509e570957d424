//! The shared config and credentials files, read anew each time: what is in them, and where they
//! are, for messages.

use std::borrow::Cow;

use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use rolekeeper_core::Failure;

use super::{Surroundings, causes::causes};

/// How many known profiles a message lists.
const LISTED: usize = 8;

/// Reads both files. Files that don't exist are empty; a line that makes no sense is refused.
pub(crate) async fn load(
    seen: &Surroundings,
    profile: Option<&str>,
) -> Result<ProfileSet, Failure> {
    let files = EnvConfigFiles::default();
    let profile = profile.map(|name| Cow::Owned(name.to_owned()));
    aws_config::profile::load(seen.fs(), &seen.env(), &files, profile).await.map_err(|error| {
        let why = causes(&error).split_whitespace().collect::<Vec<_>>().join(" ");
        let message = format!("cannot read {}: {why}", path(seen));
        Failure::misconfigured(message).with_hint("correct that line of the file")
    })
}

/// The config file, as the user would name it.
pub(crate) fn path(seen: &Surroundings) -> String {
    seen.variable("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".to_owned())
}

/// There is no such profile; says which there are, the likeliest first.
pub(crate) fn unknown(seen: &Surroundings, profiles: &ProfileSet, name: &str) -> Failure {
    let mut known: Vec<_> = profiles.profiles().collect();
    known.sort_unstable_by_key(|known| (distance(known, name), *known));
    let message = format!("there is no profile `{name}` in {}", path(seen));
    let failure = Failure::misconfigured(message);
    match known.as_slice() {
        [] => failure
            .with_hint("no profile is defined: run `aws configure`, or check AWS_CONFIG_FILE"),
        [nearest, rest @ ..] => {
            let close = distance(nearest, name) <= 1 + name.chars().count() / 3;
            let mut hint = if close {
                format!("did you mean `{nearest}`?")
            } else {
                format!("known profiles: {nearest}")
            };
            if !rest.is_empty() {
                hint.push_str(if close { " other profiles: " } else { ", " });
                hint.push_str(
                    &rest.iter().take(LISTED - 1).copied().collect::<Vec<_>>().join(", "),
                );
            }
            if rest.len() >= LISTED {
                hint.push_str(", …");
            }
            failure.with_hint(hint)
        }
    }
}

/// `key` of the profile `name` makes no sense.
pub(crate) fn wrong(seen: &Surroundings, name: &str, key: &str, why: &str, hint: &str) -> Failure {
    let path = path(seen);
    Failure::misconfigured(format!("in the profile `{name}` ({path}), `{key}` {why}"))
        .with_hint(hint.to_owned())
}

/// The static keys in `section`; half of them is an error.
pub(crate) fn static_keys(
    seen: &Surroundings,
    section: &Profile,
) -> Result<Option<Credentials>, Failure> {
    const ID: &str = "aws_access_key_id";
    const SECRET: &str = "aws_secret_access_key";
    let half = |there: &str, missing: &str| {
        let why = format!("is set without `{missing}`");
        Err(wrong(seen, section.name(), there, &why, &format!("add `{missing}`")))
    };
    match (section.get(ID), section.get(SECRET)) {
        (None, None) => Ok(None),
        (Some(_), None) => half(ID, SECRET),
        (None, Some(_)) => half(SECRET, ID),
        (Some(id), Some(secret)) => {
            let mut keys = Credentials::builder()
                .access_key_id(id)
                .secret_access_key(secret)
                .provider_name("rolekeeper");
            keys.set_session_token(section.get("aws_session_token").map(ToOwned::to_owned));
            keys.set_account_id(section.get("aws_account_id").map(Into::into));
            Ok(Some(keys.build()))
        }
    }
}

/// The static keys that the profile `name` has right now.
pub(crate) async fn keys(seen: &Surroundings, name: &str) -> Result<Credentials, Failure> {
    let profiles = load(seen, Some(name)).await?;
    let section = profiles.get_profile(name).ok_or_else(|| unknown(seen, &profiles, name))?;
    static_keys(seen, section)?.ok_or_else(|| {
        Failure::misconfigured(format!("the profile `{name}` ({}) has lost its keys", path(seen)))
            .with_hint("put aws_access_key_id and aws_secret_access_key back")
    })
}

/// How many letters must be put in, taken out or changed to make `a` of `b` (Levenshtein), ignoring
/// case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for j in 0..b.len() {
            let change = diagonal + usize::from(*letter != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
