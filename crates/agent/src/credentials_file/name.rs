//! What a section may be called.

use std::{fmt, str::FromStr};

/// A section's name that every SDK reads: letters, digits and `_-/.%@:+`.
///
/// boto3 takes more, but the others skip a profile whose name has anything else in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionName(String);

/// Why a text names no section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotASectionName(&'static str);

/// Lock files are called after their section, and 255 bytes are all that a file name may have.
const LONGEST: usize = 64;

/// Python hands the keys of a section of this name on to every other section.
const PYTHONS_OWN: &str = "DEFAULT";

// === impl SectionName ===

impl SectionName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As part of a file name: what may not stand in one is written as `%` and two digits, and so
    /// are the capitals, which some file systems take for small letters.
    pub(super) fn as_file_name(&self) -> String {
        let mut text = String::new();
        for byte in self.0.bytes() {
            if byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02x}"));
            }
        }
        text
    }
}

impl FromStr for SectionName {
    type Err = NotASectionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&byte);
        if text.is_empty() || text.len() > LONGEST {
            Err(NotASectionName("a section's name has 1 to 64 characters"))
        } else if !text.bytes().all(is_known) {
            Err(NotASectionName(
                "a section's name has letters, digits and _-/.%@:+ only; some SDKs skip any other",
            ))
        } else if text == PYTHONS_OWN {
            Err(NotASectionName("Python hands its keys on to every other section"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotASectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotASectionName {}
