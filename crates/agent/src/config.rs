//! What is to be served: read from a TOML file, from names of profiles, or from both. All of it is
//! parsed before any port is bound, and everything that is wrong with it is told at once.

mod aws_files;
mod file;
mod fingerprint;
mod ground;
mod name;
mod places;
mod problem;
mod role;
mod source;
mod summary;
mod table;
mod value;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::local;
pub use aws_files::AwsFilePaths;
pub use fingerprint::Fingerprint;
pub use ground::Ground;
pub use name::{BadRoleName, RoleName};
pub use places::{default_file, default_socket};
pub use problem::Problem;
use problem::Spots;
pub use role::{AssumedRole, Identity, RoleConfig, TokenConfig};

/// Where the container endpoint listens if nobody says otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7345);

/// A twelfth of what STS allows an account and Region.
const DEFAULT_PACE: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");

/// What the agent serves, where, and to whom.
///
/// Its fields are plain: a command line sets them too. Whoever has changed any asks
/// [`check`](Self::check) before serving.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The roles, in the order in which they are written.
    pub roles: Vec<RoleConfig>,
    /// The container endpoint.
    pub container: SocketAddr,
    /// The instance metadata services, one role each.
    pub imds: Vec<ImdsConfig>,
    /// Health and metrics.
    pub operator: Option<SocketAddr>,
    /// The Unix socket for other commands of the same user; `None` if there is no place for one, or
    /// the system has none.
    pub socket: Option<PathBuf>,
    /// Fetches a second, for each account.
    pub pace: NonZeroU32,
    /// After how long without a reader a role's session is no longer refreshed.
    pub idle_after: Option<Duration>,
    /// Whether listeners may be reached from other machines.
    pub beyond_loopback: bool,
    /// Whether memory is kept from being swapped out.
    pub lock_memory: bool,
    /// Where sessions are shared with other processes or hosts, as [`rolekeeper::stores::open`] has
    /// it; default: nowhere. Without a password.
    pub store: Option<String>,
    /// The file with the keys that they are sealed with there.
    pub store_key_file: Option<PathBuf>,
    /// Where in the file things stand.
    spots: Spots,
}

/// An instance metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImdsConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whom it serves.
    pub role: RoleName,
    /// Whether version 1 is served too, which asks for no token.
    pub v1: bool,
}

// === impl Config ===

impl Default for Config {
    /// No roles; everything else as it is if nobody says otherwise.
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            container: DEFAULT_LISTEN,
            imds: Vec::new(),
            operator: None,
            socket: local::are_here().ok().and_then(|()| default_socket()),
            pace: DEFAULT_PACE,
            idle_after: None,
            beyond_loopback: false,
            lock_memory: true,
            store: None,
            store_key_file: None,
            spots: Spots::default(),
        }
    }
}

impl Config {
    /// These profiles of `~/.aws/config`, each as a role of its name, and all else as by default.
    ///
    /// # Errors
    /// All that is wrong: a name that can't be a role's, one given twice, none at all.
    pub fn of_profiles(names: &[String]) -> Result<Self, Vec<Problem>> {
        let mut config = Self::default();
        let mut problems = config.add_profiles(names);
        problems.extend(config.check());
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads a file's text, and checks it as it stands.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let (config, mut problems) = Self::read(text, file);
        problems.extend(config.check());
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads a file's text that something is to be added to before it is [checked](Self::check):
    /// what of it makes sense, and what doesn't.
    pub fn read(text: &str, file: &Path) -> (Self, Vec<Problem>) {
        file::read(text, file)
    }

    /// Adds profiles, each as a role of its name.
    #[must_use = "these are the names that could not be added"]
    pub fn add_profiles(&mut self, names: &[String]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for profile in names {
            match RoleName::parse(profile) {
                Ok(name) => self.roles.push(RoleConfig::of_profile(name)),
                Err(bad) => problems
                    .push(Problem::of("profile", bad.to_string()).with_hint(format!(
                    "give it one in a configuration file: [role.NAME] with profile = {profile:?}"
                ))),
            }
        }
        problems
    }

    /// What doesn't go together, or can't be; empty if all is well.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = self.check_roles();
        problems.extend(self.check_listeners());
        problems
    }

    /// What is wrong with one role, told with its place in the file.
    pub fn problem_of(&self, role: &RoleConfig, failure: &rolekeeper::Failure) -> Problem {
        let mut problem =
            self.problem_at(&format!("role.{}", role.name), "", failure.message.clone());
        problem.hint = failure.hint.as_ref().map(ToString::to_string);
        problem
    }

    /// The file that clients of this role read its token from, if it is in one.
    pub fn token_file(&self, role: &RoleConfig) -> Option<PathBuf> {
        match &role.token {
            TokenConfig::File(path) => Some(path.clone()),
            TokenConfig::Variable(_) => None,
            TokenConfig::Beside => Some(self.folder()?.join("tokens").join(role.name.as_str())),
        }
    }

    /// Where tokens and keys are kept: beside the socket, or where it would be by default.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        match &self.socket {
            Some(socket) => socket.parent().map(Path::to_owned),
            None => places::default_folder(),
        }
    }

    fn check_roles(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.roles.is_empty() && !self.spots.lacks_roles {
            let mut problem = Problem::of("role", "no role is named: there is nothing to serve")
                .with_hint("add [role.NAME] to the configuration file, or pass --profile NAME");
            problem.file = self.spots.file();
            problems.push(problem);
        }
        let (mut names, mut files) = (HashMap::new(), HashMap::<PathBuf, &RoleName>::new());
        for role in &self.roles {
            let key = format!("role.{}", role.name);
            if names.insert(&role.name, ()).is_some() {
                let why = "there are two roles of this name";
                problems.push(
                    self.problem_at(&key, "", why)
                        .with_hint("leave one of them out, or give it another name"),
                );
                continue;
            }
            match self.token_file(role) {
                None if role.token == TokenConfig::Beside => problems.push(
                    self.problem_at(
                        &key,
                        "",
                        "there is no place for its token: neither XDG_RUNTIME_DIR nor HOME is set",
                    )
                    .with_hint("set token_file, token_env or socket"),
                ),
                None => {}
                Some(file) => {
                    if let Some(other) = files.insert(file, &role.name) {
                        let why = format!("its token file is that of the role `{other}` too");
                        problems.push(
                            self.problem_at(&key, "", why)
                                .with_hint("give each role a token file of its own"),
                        );
                    }
                }
            }
        }
        problems
    }

    fn check_listeners(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let (Some(socket), Err(why)) = (&self.socket, local::are_here()) {
            problems.push(
                Problem::of("socket", why.to_string())
                    .with_value(format!("{socket:?}"))
                    .with_hint("leave it out; with `operator`, health and metrics tell the status"),
            );
        }
        let mut listeners = vec![("listen", self.container)];
        listeners.extend(self.operator.map(|address| ("operator", address)));
        for imds in &self.imds {
            listeners.push(("imds.listen", imds.listen));
            if !self.roles.iter().any(|role| role.name == imds.role) {
                let known: Vec<_> = self.roles.iter().map(|role| role.name.as_str()).collect();
                problems.push(
                    self.problem_at("imds.role", imds.role.as_str(), "there is no such role")
                        .with_value(format!("{:?}", imds.role.as_str()))
                        .with_hint(value::did_you_mean(imds.role.as_str(), &known)),
                );
            }
        }
        for (i, (key, address)) in listeners.iter().enumerate() {
            let problem = |why: String| {
                self.problem_at(key, &address.to_string(), why).with_value(format!("\"{address}\""))
            };
            if !address.ip().to_canonical().is_loopback() && !self.beyond_loopback {
                let credentials =
                    if *key == "operator" { "" } else { ", and the credentials with it" };
                problems.push(
                    problem(format!("other machines can reach this address{credentials}"))
                    .with_hint(
                        "listen on 127.0.0.1, or set listen_beyond_loopback = true if it has to be",
                    ),
                );
            }
            let same = listeners[..i].iter().find(|(_, other)| collide(*address, *other));
            if let Some((other, _)) = same {
                problems.push(
                    problem(format!("`{other}` listens there already"))
                        .with_hint("give each listener a port of its own"),
                );
            }
        }
        problems
    }

    /// A problem with `key`, which stands in the file if it has this value there.
    fn problem_at(&self, key: &str, value: &str, message: impl Into<String>) -> Problem {
        let mut problem = Problem::of(key, message);
        (problem.file, problem.line) = self.spots.find(key, value);
        problem
    }
}

/// Whether two listeners can't both be had.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    let overlap =
        a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
    one.port() != 0 && one.port() == other.port() && overlap
}
