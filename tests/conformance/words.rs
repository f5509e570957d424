//! The words that cases are written in: lengths of time, moments to go to, and ranges.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use serde::Deserialize;

/// A length of time: `89 min 59 s`, `100 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

/// How far a wall clock is set: `2 h ahead`, `2 h back`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WallStep(pub(crate) i64);

/// How much time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Lapse {
    /// `10 s`
    Whole(Duration),
    /// `just under 10 s`: all of it but an instant.
    JustUnder(Duration),
    /// `an instant`: what `just under` and `just before` have left out.
    Instant,
}

/// To when time passes: `5 min left`, `the next try`, `the refresh point`, and `just before` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Target {
    pub(crate) point: Point,
    pub(crate) just_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The session that is held has this much remaining.
    Left(Duration),
    NextTry,
    Refresh,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Word", bound = "")]
pub(crate) enum Bounds<T: Value> {
    Exactly(T),
    /// `5 min to 10 min`. Over many seeds values close to both ends are seen.
    Between(T, T),
    /// `at least 5`
    AtLeast(T),
    /// `at most 5`
    AtMost(T),
}

/// When the source is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Word")]
pub(crate) enum NextTry {
    /// `never`: not without somebody's doing.
    Never,
    In(Bounds<Span>),
}

/// How often something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) u64);

/// A value as it stands in a case.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    Number(u64),
    Text(String),
}

/// What bounds are made of.
pub(crate) trait Value: Copy + PartialOrd + FromStr<Err = String> + fmt::Display {
    /// As a number, for telling how close to an end it is.
    fn number(self) -> f64;
    /// Values this far from an end of so wide a range are close to it.
    fn close(width: f64) -> f64;
}

/// With seeds of a hundred and more a uniform draw misses this share of its range, at either end,
/// less than once in a hundred cases; and the seeds are always the same.
const CLOSE: f64 = 0.05;

// === impl Span ===

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no length of time: write `1 h 5 min`, `30 s`, `100 ms`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let (pairs, rest) = words.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(wrong());
        }
        let mut sum = Duration::ZERO;
        for [number, unit] in pairs {
            let millis = match *unit {
                "h" => 3_600_000,
                "min" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(wrong()),
            };
            let number: u64 = number.parse().map_err(|_| wrong())?;
            sum += Duration::from_millis(number * millis);
        }
        Ok(Self(sum))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Value for Span {
    fn number(self) -> f64 {
        self.0.as_secs_f64()
    }

    fn close(width: f64) -> f64 {
        width * CLOSE
    }
}

// === impl WallStep ===

impl TryFrom<String> for WallStep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (length, sign) = match (text.strip_suffix(" ahead"), text.strip_suffix(" back")) {
            (Some(length), _) => (length, 1),
            (_, Some(length)) => (length, -1),
            _ => return Err(format!("`{text}` is no step: write `2 h ahead` or `2 h back`")),
        };
        let Span(length) = length.parse()?;
        Ok(Self(sign * i64::try_from(length.as_secs()).map_err(|error| error.to_string())?))
    }
}

// === impl Lapse ===

impl TryFrom<String> for Lapse {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "an instant" {
            return Ok(Self::Instant);
        }
        match text.strip_prefix("just under ") {
            Some(whole) => whole.parse().map(|Span(whole)| Self::JustUnder(whole)),
            None => text.parse().map(|Span(whole)| Self::Whole(whole)),
        }
    }
}

// === impl Target ===

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (just_before, point) = match text.strip_prefix("just before ") {
            Some(point) => (true, point),
            None => (false, text.as_str()),
        };
        let point = match point {
            "the next try" => Point::NextTry,
            "the refresh point" => Point::Refresh,
            _ => match point.strip_suffix(" left") {
                Some(left) => left.parse().map(|Span(left)| Point::Left(left))?,
                None => return Err(format!("`{text}` is no moment to go to")),
            },
        };
        Ok(Self { point, just_before })
    }
}

// === impl Bounds ===

impl<T: Value> Bounds<T> {
    /// Whether `value` is inside; `late` is what time has gone by since it was due to be read.
    pub(crate) fn hold(self, value: T, late: f64) -> bool {
        let seen = value.number();
        let low = |bound: T| bound.number() - late;
        match self {
            Self::Exactly(exact) => (low(exact)..=exact.number()).contains(&seen),
            Self::Between(least, most) => (low(least)..=most.number()).contains(&seen),
            Self::AtLeast(least) => seen >= low(least),
            Self::AtMost(most) => seen <= most.number(),
        }
    }

    /// Whether values so spread are all that these bounds say.
    pub(crate) fn are_filled(self, seen: &RangeInclusive<f64>) -> bool {
        let Self::Between(least, most) = self else { return true };
        let (least, most) = (least.number(), most.number());
        let close = T::close(most - least);
        *seen.start() <= least + close && *seen.end() >= most - close
    }
}

impl<T: Value> TryFrom<Word> for Bounds<T> {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        let text = word.text();
        if let Some(least) = text.strip_prefix("at least ") {
            return least.parse().map(Self::AtLeast);
        }
        if let Some(most) = text.strip_prefix("at most ") {
            return most.parse().map(Self::AtMost);
        }
        match text.split_once(" to ") {
            Some((least, most)) => Ok(Self::Between(least.parse()?, most.parse()?)),
            None => text.parse().map(Self::Exactly),
        }
    }
}

impl<T: Value> fmt::Display for Bounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(exact) => write!(f, "{exact}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

// === impl NextTry ===

impl TryFrom<Word> for NextTry {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        match word {
            Word::Text(text) if text == "never" => Ok(Self::Never),
            word => word.try_into().map(Self::In),
        }
    }
}

// === impl Word ===

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

// === impl Count ===

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{text}` is no number"))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Value for Count {
    fn number(self) -> f64 {
        self.0 as f64
    }

    fn close(_: f64) -> f64 {
        0.0
    }
}
