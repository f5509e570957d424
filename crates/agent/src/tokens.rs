//! The bearer tokens of a role: random, from a variable, or in a file that clients read anew at each
//! fetch, so that it can be rotated while they run.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rolekeeper::{Clock, Elapsed, Secret};
use subtle::ConstantTimeEq;

use rolekeeper::private_file;

/// 256 bits, in hexadecimal.
const RANDOM_BYTES: usize = 32;

/// How long the token before the newest is taken: from reading the file to sending its content a
/// client needs milliseconds.
const GRACE: Duration = Duration::from_secs(60);

/// How often a wrong token makes us look whether somebody has changed the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A header of 8 KiB must hold it; and one that is too short can be guessed.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=4096;

/// What a client's `Authorization` has to be, word for word.
pub struct Tokens {
    accepted: ArcSwap<Accepted>,
    // Without room to grow: an agent may serve thousands of roles.
    file: Option<Box<Path>>,
    /// When the file was last looked at. Only who comes with a wrong token gets here.
    looked: Mutex<Option<Elapsed>>,
}

#[derive(Clone)]
struct Accepted {
    newest: Secret,
    /// The one before, and when it ends. Most have none.
    before: Option<Box<(Secret, Elapsed)>>,
    /// The file as it was when `newest` was read from it.
    written: Option<Written>,
}

/// By what a file that was written anew is told from the one before.
#[derive(Clone, PartialEq, Eq)]
struct Written {
    modified: Option<SystemTime>,
    length: u64,
}

// === impl Tokens ===

impl Tokens {
    /// A random one that nobody else knows, for as long as this process runs.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> io::Result<Self> {
        Ok(Self::new(random()?, None, None))
    }

    /// One that is known already: 16 to 4,096 visible ASCII characters.
    ///
    /// # Errors
    /// It is none; the message doesn't show it.
    pub fn fixed(token: &Secret) -> io::Result<Self> {
        Ok(Self::new(checked(token.expose())?, None, None))
    }

    /// The one in this file, or, if there is no such file, a random one in a new file of mode 0600
    /// (its folder 0700). Whoever writes the file anew rotates the token.
    ///
    /// # Errors
    /// The file can't be read or made, is open to others, or holds no token.
    pub fn in_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let (token, written) = match read(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = random()?;
                private_file::replace(&path, token.expose().as_bytes())?;
                read(&path)?
            }
            Err(error) => return Err(error),
        };
        Ok(Self::new(token, Some(written), Some(path)))
    }

    fn new(newest: Secret, written: Option<Written>, file: Option<PathBuf>) -> Self {
        let accepted = ArcSwap::from_pointee(Accepted { newest, before: None, written });
        Self { accepted, file: file.map(PathBuf::into_boxed_path), looked: Mutex::default() }
    }

    /// The file that clients read it from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The newest one.
    pub fn newest(&self) -> Secret {
        self.accepted.load().newest.clone()
    }

    /// A new random one, in the file too; the one before is taken for 60 s more.
    ///
    /// # Errors
    /// The file can't be written: the token stays as it was.
    pub fn rotate(&self) -> io::Result<()> {
        let token = random()?;
        let written = match &self.file {
            Some(path) => {
                private_file::replace(path, token.expose().as_bytes())?;
                Some(read(path)?.1)
            }
            None => None,
        };
        self.take(&token, written.as_ref());
        Ok(())
    }

    /// Whether this is the token; in a time that tells nothing about it.
    pub(crate) fn admit(&self, given: &[u8]) -> bool {
        self.accepted.load().admit(given)
            || (self.has_new_file() && self.accepted.load().admit(given))
    }

    /// Whether the file was written anew since; asked only when a token was wrong.
    fn has_new_file(&self) -> bool {
        let Some(path) = &self.file else { return false };
        let now = now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|last| now.since(last) < LOOK_EVERY) {
            return false;
        }
        *looked = Some(now);
        if Written::of(path).ok() == self.accepted.load().written {
            return false;
        }
        match read(path) {
            Ok((token, written)) => {
                self.take(&token, Some(&written));
                true
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot read the token file");
                false
            }
        }
    }

    fn take(&self, newest: &Secret, written: Option<&Written>) {
        self.accepted.rcu(|old| {
            let before = Some(Box::new((old.newest.clone(), now().after(GRACE))));
            Accepted { newest: newest.clone(), before, written: written.cloned() }
        });
    }
}

impl Accepted {
    fn admit(&self, given: &[u8]) -> bool {
        let is = |token: &Secret| bool::from(token.expose().as_bytes().ct_eq(given));
        is(&self.newest)
            || self
                .before
                .as_deref()
                .is_some_and(|(token, end)| is(token) && now().since(*end).is_zero())
    }
}

impl Written {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { modified: found.modified().ok(), length: found.len() })
    }
}

/// Elapsed time also passes while the machine sleeps.
fn now() -> Elapsed {
    Clock::default().now().elapsed
}

fn random() -> io::Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; RANDOM_BYTES]);
    getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
    let mut text = String::with_capacity(2 * RANDOM_BYTES);
    for byte in bytes.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    Ok(Secret::new(text))
}

fn read(path: &Path) -> io::Result<(Secret, Written)> {
    let written = Written::of(path)?;
    private_file::check_privacy(path)?;
    let text = zeroize::Zeroizing::new(fs::read_to_string(path)?);
    let token = checked(&text)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok((token, written))
}

fn checked(token: &str) -> io::Result<Secret> {
    let why = if token.ends_with(['\n', '\r']) {
        "a token must not end in a newline: botocore, Go and Rust refuse it (write it with printf)"
    } else if !LENGTH.contains(&token.len()) {
        "a token has 16 to 4,096 characters"
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        "a token has visible ASCII characters only"
    } else {
        return Ok(Secret::new(token));
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, token: &str) {
        private_file::replace(path, token.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_that_is_missing_is_made_for_this_user_alone_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens/etl");
        let made = Tokens::in_file(&path).unwrap().newest();
        assert_eq!(fs::read_to_string(&path).unwrap(), made.expose());
        assert_eq!(made.expose().len(), 2 * RANDOM_BYTES, "and no newline");
        private_file::check_privacy(&path).unwrap();
        assert_eq!(Tokens::in_file(&path).unwrap().newest(), made, "over a restart");
    }

    #[test]
    fn a_file_written_anew_rotates_the_token_and_the_one_before_is_taken_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etl");
        write(&path, "the first token of all");
        let tokens = Tokens::in_file(&path).unwrap();
        write(&path, "the second token");
        assert!(tokens.admit(b"the second token"));
        assert!(tokens.admit(b"the first token of all"));
        assert!(!tokens.admit(b"the third token of all"));
    }

    #[test]
    fn a_rotation_is_in_the_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etl");
        let tokens = Tokens::in_file(&path).unwrap();
        let before = tokens.newest();
        tokens.rotate().unwrap();
        assert_ne!(tokens.newest(), before);
        assert_eq!(fs::read_to_string(&path).unwrap(), tokens.newest().expose());
        assert!(tokens.admit(before.expose().as_bytes()));
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for text in ["", "short", "sixteen letters\n", "sixteen letters\u{e9}", &"x".repeat(4097)] {
            let error = Tokens::fixed(&Secret::new(text)).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etl");
        write(&path, "a token that is long enough");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Tokens::in_file(&path).unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
    }
}
