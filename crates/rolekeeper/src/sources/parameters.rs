//! What STS takes for each parameter of AssumeRole. A value of one of these types has been checked:
//! nothing is sent that the service would refuse for its form, and nothing is refused here that the
//! service takes.
//!
//! The limits are those of the service model (`sts/2011-06-15`), and no stricter: a role ARN may
//! have an empty account and any partition.

use std::time::Duration;

use rolekeeper_core::Failure;

/// One hour: the longest session that a role can get with another role's session.
pub(crate) const LONGEST_CHAINED: Duration = Duration::from_secs(3600);
const SHORTEST: u64 = 900;
const LONGEST: u64 = 43_200;
const MOST_POLICY_ARNS: usize = 10;
const MOST_TAGS: usize = 50;
const MOST_CONTEXTS: usize = 5;

/// The role's ARN: 20 to 2048 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleArn(Box<str>);

/// 2 to 64 letters, digits and `_+=,.@-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionName(Box<str>);

/// As a session name, not starting with `aws:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceIdentity(Box<str>);

/// 2 to 1224 letters, digits and `_+=,.@:/-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalId(Box<str>);

/// An MFA device's serial number or ARN: 9 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MfaSerial(Box<str>);

/// 900 to 43200 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionDuration(i32);

/// A JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InlinePolicy(Box<str>);

/// At most 10 ARNs of 20 to 2048 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyArns(Box<[String]>);

/// At most 50, no key twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags(Box<[(String, String)]>);

/// At most 50.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransitiveTagKeys(Box<[String]>);

/// At most 5 pairs of a provider's ARN and its assertion, which is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ProvidedContexts(Box<[(String, String)]>);

macro_rules! text {
    ($($name:ident),*) => {$(
        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text!(RoleArn, SessionName, SourceIdentity, ExternalId, MfaSerial, InlinePolicy);

/// `what` must have `least` to `most` characters.
fn length(what: &str, value: &str, least: usize, most: usize) -> Result<(), Failure> {
    let count = value.chars().count();
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let shown: String = value.chars().take(80).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    let limit =
        if count < least { format!("fewer than {least}") } else { format!("more than {most}") };
    Err(Failure::misconfigured(format!(
        "the {what} `{shown}{dots}` has {count} characters, {limit}"
    ))
    .with_hint(format!("give it {least} to {most} characters")))
}

/// `what` may hold letters, digits, `_` and `also`. The model's `\w` is ASCII.
fn alphabet(what: &str, value: &str, also: &str) -> Result<(), Failure> {
    let is_odd = |c: &char| !(c.is_ascii_alphanumeric() || *c == '_' || also.contains(*c));
    match value.chars().find(is_odd) {
        None => Ok(()),
        Some(odd) => Err(Failure::misconfigured(format!(
            "the {what} `{value}` has the character {odd:?}, which STS refuses"
        ))
        .with_hint(format!("use letters, digits and any of _{also}"))),
    }
}

fn count(what: &str, count: usize, most: usize) -> Result<(), Failure> {
    if count <= most {
        return Ok(());
    }
    Err(Failure::misconfigured(format!("{count} {what} were given, more than {most}"))
        .with_hint(format!("give at most {most}")))
}

/// `arn:PARTITION:…`. Servers other than AWS put anything into the rest, and AWS judges it by
/// itself.
fn arn(what: &str, value: &str, example: &str) -> Result<(), Failure> {
    let rest = value.strip_prefix("arn:").filter(|rest| !rest.starts_with(':'));
    if rest.is_none() || value.contains(char::is_whitespace) {
        return Err(Failure::misconfigured(format!("the {what} `{value}` is not an ARN"))
            .with_hint(format!("write it as {example}")));
    }
    length(what, value, 20, 2048)
}

impl RoleArn {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        arn("role ARN", value, "arn:aws:iam::123456789012:role/NAME")?;
        Ok(Self(value.into()))
    }
}

impl SessionName {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        length("session name", value, 2, 64)?;
        alphabet("session name", value, "+=,.@-")?;
        Ok(Self(value.into()))
    }

    /// Of whatever is known: what STS refuses becomes `-`, and what comes last stays if it is too
    /// long.
    pub(crate) fn of(user: Option<&str>, host: Option<&str>, pid: u32) -> Self {
        const MOST: usize = 64;
        let clean = |text: &str| -> String {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
            text.chars().map(|c| if fits(c) { c } else { '-' }).collect()
        };
        let tail = format!("-{pid}");
        let mut name = clean(user.unwrap_or("rolekeeper"));
        name.truncate(MOST / 2);
        if let Some(host) = host {
            name.push('@');
            name.push_str(&clean(host));
        }
        name.truncate(MOST - tail.len());
        name.push_str(&tail);
        Self(name.into())
    }
}

impl SourceIdentity {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        length("source identity", value, 2, 64)?;
        if value.to_ascii_lowercase().starts_with("aws:") {
            return Err(Failure::misconfigured(format!(
                "the source identity `{value}` starts with `aws:`, which AWS keeps for itself"
            ))
            .with_hint("choose one that does not start with `aws:`"));
        }
        alphabet("source identity", value, "+=,.@-")?;
        Ok(Self(value.into()))
    }
}

impl ExternalId {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        length("external id", value, 2, 1224)?;
        alphabet("external id", value, "+=,.@:/-")?;
        Ok(Self(value.into()))
    }
}

impl MfaSerial {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        length("MFA serial", value, 9, 256)?;
        alphabet("MFA serial", value, "+=/:,.@-")?;
        Ok(Self(value.into()))
    }
}

impl SessionDuration {
    pub(crate) fn parse(value: Duration) -> Result<Self, Failure> {
        let secs = value.as_secs();
        match i32::try_from(secs) {
            Ok(fits) if (SHORTEST..=LONGEST).contains(&secs) => Ok(Self(fits)),
            _ => Err(Failure::misconfigured(format!(
                "the duration of {secs} s is not between {SHORTEST} s and {LONGEST} s"
            ))
            .with_hint("give 15 minutes to 12 hours, and no more than the role's own maximum")),
        }
    }

    pub(crate) fn as_secs(self) -> i32 {
        self.0
    }

    /// The same, or an hour where the role is taken with another role's session.
    pub(crate) fn chained(self, role: &str) -> Self {
        let most = LONGEST_CHAINED.as_secs() as i32;
        if self.0 <= most {
            return self;
        }
        tracing::warn!(
            role,
            asked_seconds = self.0,
            "a role taken with another role's session lasts an hour at most: asking for 3600 s"
        );
        Self(most)
    }
}

impl InlinePolicy {
    pub(crate) fn parse(value: &str) -> Result<Self, Failure> {
        let refuse = |why: String| {
            Failure::misconfigured(format!("the inline policy is not a JSON object: {why}"))
                .with_hint(r#"write it as {"Version":"2012-10-17","Statement":[…]}"#)
        };
        match serde_json::from_str::<serde_json::Value>(value) {
            Ok(serde_json::Value::Object(_)) => Ok(Self(value.into())),
            Ok(_) => Err(refuse("it is another kind of JSON value".to_owned())),
            Err(error) => Err(refuse(error.to_string())),
        }
    }
}

impl PolicyArns {
    pub(crate) fn parse(values: Vec<String>) -> Result<Self, Failure> {
        count("policy ARNs", values.len(), MOST_POLICY_ARNS)?;
        for value in &values {
            arn("policy ARN", value, "arn:aws:iam::aws:policy/NAME")?;
        }
        Ok(Self(values.into()))
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Tags {
    pub(crate) fn parse(pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        count("session tags", pairs.len(), MOST_TAGS)?;
        for (i, (key, value)) in pairs.iter().enumerate() {
            length("tag key", key, 1, 128)?;
            length(&format!("value of the tag `{key}`"), value, 0, 256)?;
            // STS does not tell keys apart by case.
            let first =
                pairs.iter().take(i).find(|(other, _)| other.to_lowercase() == key.to_lowercase());
            if let Some((other, _)) = first {
                return Err(Failure::misconfigured(format!(
                    "the tag key `{key}` was given twice (also as `{other}`; STS ignores case)"
                ))
                .with_hint("give each tag once"));
            }
        }
        Ok(Self(pairs.into()))
    }

    pub(crate) fn as_slice(&self) -> &[(String, String)] {
        &self.0
    }
}

impl TransitiveTagKeys {
    pub(crate) fn parse(keys: Vec<String>) -> Result<Self, Failure> {
        count("transitive tag keys", keys.len(), MOST_TAGS)?;
        for key in &keys {
            length("transitive tag key", key, 1, 128)?;
        }
        Ok(Self(keys.into()))
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl ProvidedContexts {
    pub(crate) fn parse(pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        count("provided contexts", pairs.len(), MOST_CONTEXTS)?;
        for (provider, assertion) in &pairs {
            arn(
                "provided context's provider ARN",
                provider,
                "arn:aws:iam::aws:contextProvider/NAME",
            )?;
            let count = assertion.chars().count();
            if !(4..=2048).contains(&count) {
                return Err(Failure::misconfigured(format!(
                    "the assertion of `{provider}` has {count} characters, not 4 to 2048"
                ))
                .with_hint("pass the assertion as the provider issued it"));
            }
        }
        Ok(Self(pairs.into()))
    }

    pub(crate) fn as_slice(&self) -> &[(String, String)] {
        &self.0
    }
}

impl std::fmt::Debug for ProvidedContexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(provider, _)| provider)).finish()
    }
}

/// The fifth part of an ARN, unless it is empty.
pub(crate) fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| !account.is_empty()).map(ToOwned::to_owned)
}
