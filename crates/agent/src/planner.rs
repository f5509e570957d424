//! From a configuration to a plan; and from the next one to the next plan, in which everything that
//! means the same is the same: sessions, tokens, counters.

use std::{collections::HashMap, env, io, sync::Arc, time::Duration};

use rolekeeper::{
    Keyring, RefreshPolicy, RefreshableCredentials, Secret, Source, stores::SessionStore,
};
use tokio::task::AbortHandle;

use crate::{
    agent::{Face, Listener, Place, Plan},
    config::{
        AwsFilePaths, Config, Fingerprint, Ground, Problem, RoleConfig, RoleName, TokenConfig,
    },
    metrics::{FetchTimes, Fetches, Measured},
    role::Role,
    rule::Rule,
    tokens::Tokens,
};

/// A command that prints an MFA code may ask a person; the calls have time limits of their own.
const ATTEMPT_WITH_MFA: Duration = Duration::from_secs(120);

/// Makes plans of configurations.
#[derive(Debug)]
pub struct Planner {
    keyring: Keyring<RoleName>,
    known: HashMap<RoleName, Known>,
    fetch_times: Arc<FetchTimes>,
}

/// A configuration of which everything has been read that can be read without calling anybody.
#[derive(Debug)]
pub struct Checked {
    config: Config,
    /// One for each of its roles.
    sources: Vec<(Arc<dyn Source>, Fingerprint)>,
    /// Of those that a machine's metadata are served for.
    regions: HashMap<RoleName, String>,
}

/// A role that is to be served: of its configuration, what matters from here on.
struct Wanted {
    name: RoleName,
    source: Arc<dyn Source>,
    sessions: Fingerprint,
    whole: Fingerprint,
    token: TokenConfig,
    tokens: Arc<Tokens>,
    rotate_token: Option<Duration>,
    allow: Rule,
    /// The one that it is made of, if of nothing else.
    profile: Option<String>,
}

/// A role that is served, and enough of its configuration to know it again.
#[derive(Debug)]
struct Known {
    sessions: Fingerprint,
    /// Of the sessions and of all the rest.
    whole: Fingerprint,
    token: TokenConfig,
    role: Role,
    _rotation: Option<Rotation>,
}

/// Ends with the role.
#[derive(Debug)]
struct Rotation(AbortHandle);

// === impl Checked ===

impl Checked {
    /// Reads what the roles mean: profiles, policies. Nothing is bound, made or called.
    ///
    /// # Errors
    /// Every role that makes no sense.
    pub async fn of(config: Config) -> Result<Self, Vec<Problem>> {
        let mut problems = config.check();
        let mut sources = Vec::with_capacity(config.roles.len());
        let mut regions = HashMap::new();
        let mut ground = Ground::read().await;
        for role in &config.roles {
            match role.source(&mut ground).await {
                Ok((source, region)) => {
                    sources.push((source, ground.fingerprint(role)));
                    let is_machine = config.imds.iter().any(|imds| imds.role == role.name);
                    regions.extend(region.filter(|_| is_machine).map(|it| (role.name.clone(), it)));
                }
                Err(failure) => problems.push(config.problem_of(role, &failure)),
            }
        }
        if problems.is_empty() { Ok(Self { config, sources, regions }) } else { Err(problems) }
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is to be bound for it.
    pub fn listeners(&self) -> Vec<Listener> {
        let config = &self.config;
        let at = |address, face| Listener { at: Place::Address(address), face };
        let mut all = vec![at(config.container, Face::Container)];
        all.extend(config.imds.iter().map(|imds| {
            let region = self.regions.get(&imds.role).cloned();
            let key = config.folder().map(|folder| folder.join("imds.key"));
            at(imds.listen, Face::Imds { role: imds.role.clone(), region, v1: imds.v1, key })
        }));
        all.extend(config.operator.map(|address| at(address, Face::Operator)));
        all.extend(
            config.socket.clone().map(|path| Listener { at: Place::Path(path), face: Face::Local }),
        );
        all
    }
}

// === impl Planner ===

impl Planner {
    /// Pace and idle time are those of the first configuration, for as long as the process runs.
    pub fn new(config: &Config) -> Self {
        let mut policy = RefreshPolicy::default();
        if config.roles.iter().any(|role| role.mfa_process.is_some()) {
            policy = policy.with_attempt_timeout(ATTEMPT_WITH_MFA);
        }
        if let Some(idle) = config.idle_after {
            policy = policy.with_idle_after(idle);
        }
        let keyring = Keyring::new().with_policy(policy).with_pace(config.pace);
        let (known, fetch_times) = Default::default();
        Self { keyring, known, fetch_times }
    }

    /// All its roles' sessions are shared through this store, for as long as the process runs.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.keyring = self.keyring.with_store(store);
        self
    }

    /// The plan for this configuration. Sessions of roles that are new in it are fetched from here
    /// on; those of roles that are gone end, so have its [listeners](Checked::listeners) bound
    /// before. Call it within a runtime.
    ///
    /// # Errors
    /// A token that can't be had. Everything stays as it was.
    pub fn plan(&mut self, checked: Checked) -> Result<Plan, Vec<Problem>> {
        let listeners = checked.listeners();
        let Checked { mut config, sources, .. } = checked;
        let (mut tokens, mut problems) = (Vec::new(), Vec::new());
        for role in &config.roles {
            match self.tokens(&config, role) {
                Ok(token) => tokens.push(token),
                Err(error) => {
                    let failure = rolekeeper::Failure::misconfigured(format!("its token: {error}"));
                    problems.push(config.problem_of(role, &failure));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let wanted = std::mem::take(&mut config.roles).into_iter().zip(sources).zip(tokens);
        let wanted: Vec<Wanted> = wanted
            .map(|((config, (source, sessions)), tokens)| {
                Wanted::of(config, source, sessions, tokens)
            })
            .collect();
        // Thousands of roles take the place of their configuration, not one beside it.
        drop(config);
        let mut before = std::mem::replace(&mut self.known, HashMap::with_capacity(wanted.len()));
        for role in wanted {
            let old = before.remove(&role.name);
            self.known.insert(role.name.clone(), self.role(role, old));
        }
        for name in before.keys() {
            self.let_go(name);
        }
        let roles = self.known.values().map(|known| known.role.clone()).collect();
        Ok(Plan { roles, listeners })
    }

    fn role(&self, wanted: Wanted, old: Option<Known>) -> Known {
        let Wanted { name, source, sessions, whole, token, tokens, rotate_token, .. } = wanted;
        let old = match old {
            Some(old) if old.whole == whole => return old,
            old => old,
        };
        if old.as_ref().is_some_and(|old| old.sessions != sessions) {
            self.let_go(&name);
        }
        // However often its configuration changes, a role's fetches and reads are counted on.
        let counted = old.as_ref().and_then(|old| old.role.fetches().cloned());
        let fetches =
            counted.unwrap_or_else(|| Arc::new(Fetches::new(Arc::clone(&self.fetch_times))));
        let measured = || Measured::new(source, Arc::clone(&fetches));
        let credentials: RefreshableCredentials =
            self.keyring.get_or_insert(name.clone(), measured);
        let mut role =
            Role::new(name, credentials, Arc::clone(&tokens), wanted.allow).with_fetches(fetches);
        if let Some(old) = old {
            role = role.counting_on(&old.role);
        }
        if let Some(profile) = wanted.profile {
            role = role.made_of(profile, AwsFilePaths::of_this_process());
        }
        let rotation = rotate_token.map(|every| Rotation::start(tokens, every));
        Known { sessions, whole, token, role, _rotation: rotation }
    }

    fn let_go(&self, name: &RoleName) {
        if let Some(credentials) = self.keyring.remove(name) {
            credentials.shutdown();
        }
    }

    fn tokens(&self, config: &Config, role: &RoleConfig) -> io::Result<Arc<Tokens>> {
        if let Some(known) = self.known.get(&role.name)
            && known.token == role.token
            && known.role.tokens().file().map(ToOwned::to_owned) == config.token_file(role)
        {
            return Ok(known.role.shared_tokens());
        }
        let tokens = match (&role.token, config.token_file(role)) {
            (TokenConfig::Variable(name), _) => {
                let value = env::var(name).map_err(|_| {
                    io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("the variable {name} is not set"),
                    )
                })?;
                Tokens::fixed(&Secret::new(value))?
            }
            (_, Some(file)) => Tokens::in_file(file)?,
            (_, None) => Tokens::random()?,
        };
        Ok(Arc::new(tokens))
    }
}

// === impl Wanted ===

impl Wanted {
    fn of(
        config: RoleConfig,
        source: Arc<dyn Source>,
        sessions: Fingerprint,
        tokens: Arc<Tokens>,
    ) -> Self {
        let whole = sessions.and(&config);
        let profile = config.only_profile().map(str::to_owned);
        let RoleConfig { name, token, rotate_token, allow, .. } = config;
        Self { name, source, sessions, whole, token, tokens, rotate_token, allow, profile }
    }
}

// === impl Rotation ===

impl Rotation {
    fn start(tokens: Arc<Tokens>, every: Duration) -> Self {
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let tokens = Arc::clone(&tokens);
                let rotated = tokio::task::spawn_blocking(move || tokens.rotate()).await;
                if let Err(error) = rotated.map_err(io::Error::other).flatten() {
                    tracing::warn!(%error, "cannot rotate a token: the one before stays");
                }
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        self.0.abort();
    }
}
