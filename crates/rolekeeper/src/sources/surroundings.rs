//! What a source reads of the process around it: environment variables, files, the wall clock. It
//! is a value, so that an agent or a test decides what a source sees, and nothing ever sets a
//! variable of the real environment.
//!
//! Nor does a source read the real environment while it works: other threads of the process may
//! write it by then, and C libraries (glibc before 2.41) then read freed memory.

use std::{collections::HashMap, ffi::OsString, fmt, sync::Arc, time::SystemTime};

use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource, TimeSource};
use aws_types::os_shim_internal::{Env, Fs};

/// Environment variables, files and the wall clock that signs requests.
///
/// ```
/// use rolekeeper::sources::Surroundings;
///
/// // As if the process had been started with these variables and no others.
/// let seen = Surroundings::with_variables([("AWS_REGION", "eu-central-1")]);
/// assert_eq!(seen.variable("AWS_REGION").as_deref(), Some("eu-central-1"));
/// assert_eq!(seen.variable("HOME"), None);
/// ```
#[derive(Clone)]
pub struct Surroundings {
    variables: Arc<HashMap<String, String>>,
    fs: Fs,
    time: SharedTimeSource,
    /// Whether `time` is a clock of the caller's.
    has_own_clock: bool,
}

/// A clock made of a function.
struct Told<F>(F);

// === impl Surroundings ===

impl Default for Surroundings {
    fn default() -> Self {
        Self::real()
    }
}

impl Surroundings {
    /// This process' own environment as it is now, files and clock. What isn't Unicode is left out.
    ///
    /// It is called where a builder begins, and never by what a builder does: there the caller's
    /// thread keeps others from writing the environment (Python's holds the interpreter).
    pub fn real() -> Self {
        let unicode = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::with_variables(std::env::vars_os().filter_map(unicode))
    }

    /// Only these variables, real files, the real clock.
    pub fn with_variables<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let time = SharedTimeSource::new(SystemTimeSource::new());
        Self { variables: Arc::new(variables), fs: Fs::real(), time, has_own_clock: false }
    }

    /// The clock that requests are signed by, before the correction by the server's `Date`.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.time = SharedTimeSource::new(Told(now));
        self.has_own_clock = true;
        self
    }

    /// One variable; `None` if it isn't set, is empty, or is not Unicode.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.trim().is_empty()).cloned()
    }

    pub(crate) fn env(&self) -> Env {
        Env::from(HashMap::clone(&self.variables))
    }

    /// The same, where an endpoint URL that is set but empty is not set, as the AWS CLI has it. The
    /// SDK would call it.
    pub(crate) fn without_empty_urls(&self) -> Self {
        const NAME: &str = "AWS_ENDPOINT_URL";
        let is_empty =
            |(name, url): (&String, &String)| name.starts_with(NAME) && url.trim().is_empty();
        if !self.variables.iter().any(is_empty) {
            return self.clone();
        }
        self.masked(|name| name.starts_with(NAME) && self.variable(name).is_none(), &[])
    }

    /// The same without the variables that `drop` names, and with those in `add`.
    pub(crate) fn masked(&self, drop: impl Fn(&str) -> bool, add: &[(&str, &str)]) -> Self {
        let mut variables = HashMap::clone(&self.variables);
        variables.retain(|name, _| !drop(name));
        variables.extend(add.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        Self { variables: Arc::new(variables), ..self.clone() }
    }

    pub(crate) fn fs(&self) -> &Fs {
        &self.fs
    }

    pub(crate) fn time(&self) -> SharedTimeSource {
        self.time.clone()
    }

    pub(crate) fn has_own_clock(&self) -> bool {
        self.has_own_clock
    }

    /// Who runs this: a part of the session name.
    pub(crate) fn user(&self) -> Option<String> {
        ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.variable(name))
    }

    /// This machine's name.
    pub(crate) fn host(&self) -> Option<String> {
        ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| self.variable(name)).or_else(node_name)
    }
}

#[cfg(unix)]
fn node_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn node_name() -> Option<String> {
    None
}

/// Variables can hold secrets: only how many there are is shown.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surroundings({} variables)", self.variables.len())
    }
}

// === impl Told ===

impl<F: Fn() -> SystemTime + Send + Sync> TimeSource for Told<F> {
    fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl<F> fmt::Debug for Told<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}
