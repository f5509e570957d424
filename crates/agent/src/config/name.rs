//! The name of a role: a part of its path, of its token's file, and of metrics.

use std::{borrow::Borrow, fmt, sync::Arc};

/// 1 to 64 ASCII letters, digits and `._-+=,@`, and not a dot at the beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Arc<str>);

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRoleName(String);

const LONGEST: usize = 64;

impl RoleName {
    /// # Errors
    /// It is empty, too long, begins with a dot, or has a character that a path would have to
    /// encode.
    pub fn parse(name: &str) -> Result<Self, BadRoleName> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+=,@".contains(&byte);
        let fits = (1..=LONGEST).contains(&name.len()) && !name.starts_with('.');
        if fits && name.bytes().all(is_fine) {
            return Ok(Self(name.into()));
        }
        Err(BadRoleName(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RoleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadRoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no name of a role: it has 1 to 64 letters, digits and ._-+=,@ and doesn't begin with a dot",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for BadRoleName {}
