//! What can be in the way of writing a section.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::SectionName;

/// Why the section could not be written. The file is as it was.
#[derive(Debug)]
pub enum Error {
    /// Another process keeps this section.
    Kept {
        /// Where.
        file: PathBuf,
        /// Which.
        section: SectionName,
        /// By whom, where that can be known.
        pid: Option<u32>,
    },
    /// Another process writes the file, and has been at it for longer than any write takes.
    Locked {
        /// Which.
        file: PathBuf,
        /// By whom, where that can be known.
        pid: Option<u32>,
    },
    /// It could not be written without a loss, or not so that all SDKs would read it alike.
    Unclear {
        /// Where.
        file: PathBuf,
        /// Which section it would have been.
        section: SectionName,
        /// Why.
        why: Unclear,
    },
    /// The operating system says no.
    File {
        /// What was tried: a fragment such as `cannot read`.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// What is in a file, or in a session, that stands against writing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Zero bytes, or line ends that are none elsewhere.
    NotText,
    /// A line that begins with `[` and is no header that all SDKs read alike.
    Header {
        /// Counted from 1.
        line: usize,
    },
    /// The section is there more than once.
    Twice {
        /// The first one's line.
        first: usize,
        /// The second one's.
        second: usize,
    },
    /// The section holds a key without a session token: one that would be lost.
    LongTermKey {
        /// Its line.
        line: usize,
    },
    /// A value of the session can't stand in a file.
    Value {
        /// Under which key it would.
        key: &'static str,
    },
}

// === impl Error ===

impl Error {
    pub(super) fn file<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::File { doing, path: path.to_owned(), error }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kept { .. } => "end that one first, or name another section",
            Self::Locked { .. } => "look whether that process hangs or is stopped",
            Self::Unclear { why, .. } => why.hint(),
            Self::File { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "its folder must be writable too, since the file is replaced whole"
                }
                _ => "name another file, or mend this one",
            },
        }
    }
}

impl Unclear {
    fn hint(&self) -> &'static str {
        match self {
            Self::NotText => "save it as plain text (UTF-8)",
            Self::Header { .. } => "begin that line with `[NAME]`, without blanks",
            Self::Twice { .. } => "keep one of the two: boto3 refuses a file with both",
            Self::LongTermKey { .. } => {
                "name another section, or take that key out if it is not needed"
            }
            Self::Value { .. } => "check who issues these credentials",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { file, section, pid } => {
                write!(f, "section `{section}` of {} is kept by ", file.display())?;
                process(f, *pid)
            }
            Self::Locked { file, pid } => {
                write!(f, "{} is being written by ", file.display())?;
                process(f, *pid)
            }
            Self::Unclear { file, section, why } => {
                write!(f, "cannot write section `{section}` of {}: {why}", file.display())
            }
            Self::File { doing, path, error } => write!(f, "{doing} {}: {error}", path.display()),
        }
    }
}

fn process(f: &mut fmt::Formatter<'_>, pid: Option<u32>) -> fmt::Result {
    match pid {
        Some(pid) => write!(f, "process {pid}"),
        None => f.write_str("another process"),
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("the file has characters that no text file has"),
            Self::Header { line } => {
                write!(f, "line {line} begins with `[` and is no section that all SDKs know")
            }
            Self::Twice { first, second } => {
                write!(f, "it is there twice, in lines {first} and {second}")
            }
            Self::LongTermKey { line } => {
                write!(f, "it holds a long-term key (line {line}), which would be lost")
            }
            Self::Value { key } => {
                write!(f, "the session's {key} has a blank or a control character in it")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl std::error::Error for Unclear {}
