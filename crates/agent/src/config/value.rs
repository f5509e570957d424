//! Values of the file: each parsed to its type, with what is allowed in the error. They never quote
//! the value: who tells of the problem does.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use jiff::SignedDuration;
use toml::{Spanned, de::DeValue};

/// What was expected, and perhaps what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Whether the value may be a secret, and is not to be shown.
    pub(super) is_delicate: bool,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

// === impl Wrong ===

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_delicate: false }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn expected<T>(what: &str) -> Parsed<T> {
    Err(Wrong::new(format!("expected {what}")))
}

pub(super) fn text(value: &DeValue<'_>) -> Parsed<String> {
    match value.as_str() {
        Some("") => Err(Wrong::new("is empty").with_hint("leave the key out")),
        Some(text) => Ok(text.to_owned()),
        None => expected("a text in quotes"),
    }
}

pub(super) fn yes_or_no(value: &DeValue<'_>) -> Parsed<bool> {
    value.as_bool().map_or_else(|| expected("true or false"), Ok)
}

/// As on the command line: `"10s"`, `"15m"`, `"1h30m"`, `"900"` or 900.
pub(super) fn duration(value: &DeValue<'_>) -> Parsed<Duration> {
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let parsed = match value {
        DeValue::Integer(number) if number.radix() == 10 => seconds(number.as_str()),
        DeValue::String(text) => seconds(text).or_else(|| {
            let signed = SignedDuration::from_str(text).ok()?;
            Duration::try_from(signed).ok()
        }),
        _ => None,
    };
    match parsed.filter(|duration| !duration.is_zero()) {
        Some(duration) => Ok(duration),
        None => expected("a duration such as 900, \"15m\", \"1h\" or \"1h30m\""),
    }
}

/// A duration from `least` on, to `most`.
pub(super) fn duration_of(
    least: Duration,
    most: Option<Duration>,
) -> impl Fn(&DeValue<'_>) -> Parsed<Duration> {
    move |value| {
        let parsed = duration(value)?;
        if parsed >= least && most.is_none_or(|most| parsed <= most) {
            return Ok(parsed);
        }
        let limits = match most {
            Some(most) => format!("from {} to {}", shown(least), shown(most)),
            None => format!("of {} or more", shown(least)),
        };
        expected(&format!("a duration {limits}"))
    }
}

/// As people write it: `1h30m`.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')];
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { format!("{duration:?}") } else { text }
}

pub(super) fn address(value: &DeValue<'_>) -> Parsed<SocketAddr> {
    const LIKE_THIS: &str = "an address and port such as \"127.0.0.1:7345\" or \"[::1]:7345\"";
    let Some(text) = value.as_str() else { return expected(LIKE_THIS) };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix("localhost").unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port);
    let wrong = Wrong::new(format!("expected {LIKE_THIS}"));
    Err(if port.parse::<u16>().is_ok() {
        wrong.with_hint(format!("write \"127.0.0.1:{port}\""))
    } else if text.parse::<std::net::IpAddr>().is_ok() {
        wrong.with_hint("add a port; 0 is any that is free")
    } else {
        wrong
    })
}

pub(super) fn absolute_path(value: &DeValue<'_>) -> Parsed<PathBuf> {
    const WHAT: &str = "an absolute path";
    let Some(text) = value.as_str() else { return expected(WHAT) };
    let path = PathBuf::from(text);
    if path.is_absolute() && path.file_name().is_some() && !text.contains('\0') {
        return Ok(path);
    }
    let wrong = Wrong::new(format!("expected {WHAT}"));
    Err(if text.starts_with('~') || text.contains('$') {
        wrong.with_hint("write it out: neither ~ nor variables are expanded")
    } else {
        wrong.with_hint("begin it with /: the agent may run in any folder")
    })
}

/// The name of a variable, not its value.
pub(super) fn variable(value: &DeValue<'_>) -> Parsed<String> {
    let is_name = |name: &&str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match value.as_str().filter(is_name) {
        Some(name) => Ok(name.to_owned()),
        // It may be the token itself.
        None => Err(Wrong {
            is_delicate: true,
            ..Wrong::new("expected the name of an environment variable")
                .with_hint("the token itself belongs in that variable")
        }),
    }
}

pub(super) fn at_least_one(value: &DeValue<'_>) -> Parsed<NonZeroU32> {
    let number = number(value).ok().and_then(NonZeroU32::new);
    number.map_or_else(|| expected(&format!("a whole number from 1 to {}", u32::MAX)), Ok)
}

fn number(value: &DeValue<'_>) -> Parsed<u32> {
    let number = value.as_integer().filter(|number| number.radix() == 10);
    match number.and_then(|number| number.as_str().parse().ok()) {
        Some(number) => Ok(number),
        None => expected(&format!("a whole number from 0 to {}", u32::MAX)),
    }
}

/// Of a user.
pub(super) fn uid(value: &DeValue<'_>) -> Parsed<u32> {
    number(value).map_err(|wrong| wrong.with_hint("`id -u NAME` shows a user's number"))
}

/// Of a group.
pub(super) fn gid(value: &DeValue<'_>) -> Parsed<u32> {
    number(value).map_err(|wrong| wrong.with_hint("`getent group NAME` shows a group's number"))
}

/// One, or an array of them; of an array, each that is wrong.
pub(super) fn some<'v, 't, T>(
    value: &'v Spanned<DeValue<'t>>,
    one: impl Fn(&DeValue<'t>) -> Parsed<T>,
    mut wrong: impl FnMut(&'v Spanned<DeValue<'t>>, Wrong),
) -> Vec<T> {
    let all = match value.get_ref() {
        DeValue::Array(array) => array.iter().collect(),
        _ => vec![value],
    };
    let parsed = all.into_iter().map(|item| one(item.get_ref()).map_err(|why| wrong(item, why)));
    parsed.filter_map(Result::ok).collect()
}

/// The nearest of what is known, if it is near enough to be a slip; else all of them.
pub(super) fn did_you_mean(given: &str, known: &[&str]) -> String {
    let distance = |known: &str| strsim::osa_distance(&given.to_lowercase(), known);
    match known.iter().min_by_key(|known| (distance(known), **known)) {
        None => "there is none yet".to_owned(),
        Some(nearest) if distance(nearest) <= 1 + given.chars().count() / 3 => {
            format!("did you mean `{nearest}`?")
        }
        Some(_) => format!("known are: {}", known.join(", ")),
    }
}
