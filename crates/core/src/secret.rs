//! Text that must not be seen: it wipes itself when dropped and prints as `"…"`.

use std::fmt;

use zeroize::Zeroizing;

/// A secret access key, a session token, a bearer token.
///
/// ```
/// let secret = rolekeeper_core::Secret::new("wJalrXUtnFEMI");
/// assert_eq!(format!("{secret:?}"), "\"…\"");
/// assert_eq!(secret.expose(), "wJalrXUtnFEMI");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller's own copies are the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. The name is long so that a reviewer sees each place that asks.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"…\"")
    }
}
