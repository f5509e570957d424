//! Decides whether a request's parameters are within STS' limits, and says so in AWS' words.
//!
//! The limits are those of the service model (botocore `data/sts/2011-06-15/service-2.json`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use crate::wire::Refusal;

/// The most bytes that policies and tags may pack into. AWS does not publish its own number nor
/// how it packs; this one lets the longest inline policy (2,048) and as much again through.
const PACKED_BYTES: usize = 4096;
/// The longest value quoted in a message.
const LONGEST_QUOTE: usize = 256;

/// A request's parameters, in the order they were sent.
pub(crate) struct Params<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Which characters a parameter takes.
#[derive(Clone, Copy)]
pub(crate) enum Letters {
    /// `[\w+=,.@-]*`
    Name,
    /// `[\w+=,.@:\/-]*`
    ExternalId,
    /// `[\w+=/:,.@-]*`
    Serial,
    Digits,
    Any,
}

/// What is wrong with a request, collected so that all of it is told at once.
#[derive(Default)]
pub(crate) struct Violations(Vec<String>);

/// A session tag.
pub(crate) type Tag = (String, String);

// === impl Params ===

impl<'a> Params<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_ref()))
    }

    /// The members of a list, `Name.member.1` and on, of what each yields.
    fn list<T>(&self, name: &str, member: impl Fn(&str) -> Option<T>) -> Vec<T> {
        // No list of STS is longer than 50; one more is enough to tell that it is too long.
        (1..=51).map_while(|number| member(&format!("{name}.member.{number}"))).collect()
    }

    pub(crate) fn strings(&self, name: &str) -> Vec<&str> {
        self.list(name, |key| self.get(key))
    }
}

// === impl Letters ===

impl Letters {
    fn pattern(self) -> &'static str {
        match self {
            Self::Name => r"[\w+=,.@-]*",
            Self::ExternalId => r"[\w+=,.@:\/-]*",
            Self::Serial => r"[\w+=/:,.@-]*",
            Self::Digits => r"[\d]*",
            Self::Any => r"[\u0009\u000A\u000D\u0020-\u00FF]+",
        }
    }

    fn take(self, letter: char) -> bool {
        let word = letter.is_ascii_alphanumeric() || letter == '_';
        match self {
            Self::Name => word || "+=,.@-".contains(letter),
            Self::ExternalId | Self::Serial => word || "+=,.@:/-".contains(letter),
            Self::Digits => letter.is_ascii_digit(),
            Self::Any => true,
        }
    }
}

// === impl Violations ===

impl Violations {
    /// Refuses, if anything was wrong.
    pub(crate) fn done(self) -> Result<(), Refusal> {
        let errors = match self.0.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_owned(),
            number => format!("{number} validation errors"),
        };
        Err(Refusal::validation(format!("{errors} detected: {}", self.0.join("; "))))
    }

    fn add(&mut self, value: Option<&str>, field: &str, constraint: &str) {
        let quoted = match value {
            None => "null".to_owned(),
            Some(value) => {
                let start: String = value.chars().take(LONGEST_QUOTE).collect();
                format!("'{start}'")
            }
        };
        let told =
            format!("Value {quoted} at '{field}' failed to satisfy constraint: {constraint}");
        self.0.push(told);
    }

    pub(crate) fn require(&mut self, value: Option<&str>, field: &str) -> String {
        if value.is_none() {
            self.add(None, field, "Member must not be null");
        }
        value.unwrap_or_default().to_owned()
    }

    /// A text of `least` to `most` characters, of `letters`.
    pub(crate) fn text(
        &mut self,
        value: Option<&str>,
        field: &str,
        (least, most): (usize, usize),
        letters: Letters,
    ) {
        let Some(text) = value else { return };
        let length = text.chars().count();
        if length < least {
            let constraint = format!("Member must have length greater than or equal to {least}");
            self.add(value, field, &constraint);
        }
        if length > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            self.add(value, field, &constraint);
        }
        if !text.chars().all(|letter| letters.take(letter)) {
            let pattern = letters.pattern();
            let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
            self.add(value, field, &constraint);
        }
    }

    /// `DurationSeconds`, from 900 to `most`, else `default`.
    pub(crate) fn duration(&mut self, params: &Params<'_>, most: u64, default: u64) -> Duration {
        let Some(text) = params.get("DurationSeconds") else {
            return Duration::from_secs(default);
        };
        let field = "durationSeconds";
        match text.parse::<i64>() {
            Err(_) => self.add(Some(text), field, "Member must be an integer"),
            Ok(seconds) if seconds < 900 => {
                self.add(Some(text), field, "Member must have value greater than or equal to 900");
            }
            Ok(seconds) if seconds.unsigned_abs() > most => {
                let constraint = format!("Member must have value less than or equal to {most}");
                self.add(Some(text), field, &constraint);
            }
            Ok(seconds) => return Duration::from_secs(seconds.unsigned_abs()),
        }
        Duration::from_secs(default)
    }

    /// `SerialNumber` and `TokenCode`.
    pub(crate) fn mfa(&mut self, params: &Params<'_>) {
        self.text(params.get("SerialNumber"), "serialNumber", (9, 256), Letters::Serial);
        self.text(params.get("TokenCode"), "tokenCode", (6, 6), Letters::Digits);
    }

    pub(crate) fn tags(&mut self, params: &Params<'_>) -> Result<Vec<Tag>, Refusal> {
        let tags = params.list("Tags", |member| {
            let key = params.get(&format!("{member}.Key"));
            let value = params.get(&format!("{member}.Value"));
            (key.is_some() || value.is_some()).then_some((key, value))
        });
        self.at_most("tags", tags.len(), 50);
        let mut seen = HashSet::new();
        let mut read = Vec::with_capacity(tags.len());
        for (number, (key, value)) in (1..).zip(tags) {
            let key_field = format!("tags.{number}.member.key");
            let value_field = format!("tags.{number}.member.value");
            let (name, text) = (self.require(key, &key_field), self.require(value, &value_field));
            self.text(key, &key_field, (1, 128), Letters::Any);
            self.text(value, &value_field, (0, 256), Letters::Any);
            if !seen.insert(name.to_lowercase()) {
                let message = "Duplicate tag keys found. Please note that Tag keys are case \
                               insensitive.";
                return Err(Refusal::new(400, "InvalidParameterValue", message));
            }
            read.push((name, text));
        }
        Ok(read)
    }

    /// `PolicyArns`, at most 10.
    pub(crate) fn policy_arns(&mut self, params: &Params<'_>) -> Vec<String> {
        let arns = params.list("PolicyArns", |member| params.get(&format!("{member}.arn")));
        self.at_most("policyArns", arns.len(), 10);
        for (number, arn) in (1..).zip(&arns) {
            let field = format!("policyArns.{number}.member.arn");
            self.text(Some(arn), &field, (20, 2048), Letters::Any);
        }
        arns.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn at_most(&mut self, field: &str, length: usize, most: usize) {
        if length > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            self.add(Some(&format!("[{length} members]")), field, &constraint);
        }
    }
}

/// What the policies and tags of a request take of their allotted space, in percent; nothing if
/// it has none.
pub(crate) fn packed_policy_size(
    policy: Option<&str>,
    policy_arns: &[String],
    tags: &[Tag],
) -> Result<Option<usize>, Refusal> {
    if policy.is_none() && policy_arns.is_empty() && tags.is_empty() {
        return Ok(None);
    }
    let policy = match policy {
        None => 0,
        Some(text) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(document @ serde_json::Value::Object(_)) => document.to_string().len(),
            Ok(_) | Err(_) => {
                let message = "Syntax errors in policy.";
                return Err(Refusal::new(400, "MalformedPolicyDocument", message));
            }
        },
    };
    let arns: usize = policy_arns.iter().map(String::len).sum();
    let tags: usize = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    let percent = (100 * (policy + arns + tags)).div_ceil(PACKED_BYTES);
    if percent > 100 {
        let message = format!(
            "Packed policy consumes {percent}% of allotted space, please use smaller policy."
        );
        return Err(Refusal::new(400, "PackedPolicyTooLarge", message));
    }
    Ok(Some(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl Fn(&mut Violations)) -> String {
        let mut violations = Violations::default();
        check(&mut violations);
        violations.done().map_or_else(|refusal| refusal.message, |()| String::new())
    }

    #[test]
    fn a_violation_is_told_in_aws_words() {
        assert_eq!(
            told(|v| v.text(Some("a b"), "roleSessionName", (2, 64), Letters::Name)),
            "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        );
        assert_eq!(
            told(|v| {
                v.require(None, "roleArn");
                v.text(Some("a"), "roleSessionName", (2, 64), Letters::Name);
            }),
            "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: \
             Member must not be null; Value 'a' at 'roleSessionName' failed to satisfy \
             constraint: Member must have length greater than or equal to 2"
        );
    }

    #[test]
    fn lengths_are_those_of_the_service_to_the_character() {
        for (length, fine) in [(1, false), (2, true), (64, true), (65, false)] {
            let name = "é".repeat(length);
            let told = told(|v| v.text(Some(&name), "x", (2, 64), Letters::Any));
            assert_eq!(told.is_empty(), fine, "{length}: {told}");
        }
    }

    #[test]
    fn a_duration_is_900_seconds_to_the_operations_most() {
        for (text, fine) in [
            ("899", false),
            ("900", true),
            ("43200", true),
            ("43201", false),
            ("-900", false),
            ("1e3", false),
            ("99999999999999999999", false),
        ] {
            let params = Params(vec![("DurationSeconds".into(), text.into())]);
            let told = told(|v| {
                v.duration(&params, 43_200, 3600);
            });
            assert_eq!(told.is_empty(), fine, "{text}: {told}");
        }
    }

    #[test]
    fn a_policy_is_a_json_object_and_packs_into_its_space() {
        assert_eq!(packed_policy_size(None, &[], &[]).unwrap(), None);
        assert_eq!(packed_policy_size(Some("{}"), &[], &[]).unwrap(), Some(1));
        for text in ["", "[]", "{", "\"x\"", "null"] {
            let refusal = packed_policy_size(Some(text), &[], &[]).unwrap_err();
            assert_eq!(refusal.code, "MalformedPolicyDocument");
        }
        let tags = vec![("k".repeat(128), "v".repeat(256)); 11];
        assert_eq!(packed_policy_size(None, &[], &tags[..10]).unwrap(), Some(94));
        let refusal = packed_policy_size(None, &[], &tags).unwrap_err();
        assert_eq!(refusal.code, "PackedPolicyTooLarge");
    }
}
