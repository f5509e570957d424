//! Values of the command line: parsed where they come in, with the limit in the error.

use std::{str::FromStr, time::Duration};

use jiff::SignedDuration;

/// `10s`, `15m`, `1h30m`, or plain seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            SignedDuration::from_str(text).ok().and_then(|signed| Duration::try_from(signed).ok())
        }
    };
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration such as 900, 15m, 1h or 1h30m".to_owned())
}

/// `KEY=VALUE`; the value may be empty and may hold more `=`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Text, or `file://PATH` as the AWS CLI has it.
pub(crate) fn text_or_file(text: &str) -> Result<String, String> {
    match text.strip_prefix("file://") {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
        }
        None => Ok(text.to_owned()),
    }
}

/// As one word of a POSIX shell.
pub(crate) fn posix_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_seconds_and_in_words() {
        assert_eq!(duration("900"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        for wrong in ["", "0", "-5m", "soon", "1 fortnight"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pair_keeps_further_equals_signs_in_its_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
