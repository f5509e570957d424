//! A role that is served: its credentials, who may read them, and what its readers are answered.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use rolekeeper::{Current, Error, RefreshableCredentials, Session};

use crate::{
    audit,
    config::{AwsFilePaths, RoleName},
    document,
    metrics::Fetches,
    rule::Rule,
    tokens::Tokens,
};

/// How long a request at the container endpoint waits for a session. boto3 gives up after 2 s, the
/// least patient of the SDKs that don't simply ask again.
pub(crate) const CONTAINER_HOLD: Duration = Duration::from_millis(1500);

static ANYBODY: Rule = Rule { uids: Vec::new(), gids: Vec::new(), executables: Vec::new() };

/// One role, shared by all who serve it.
#[derive(Clone)]
pub struct Role(Arc<Inner>);

struct Inner {
    name: RoleName,
    credentials: RefreshableCredentials,
    tokens: Arc<Tokens>,
    // What most roles don't have takes no room in them: an agent may serve thousands.
    rule: Option<Box<Rule>>,
    /// The profile that it is made of, and of which files, if it is made of nothing else.
    profile: Option<Box<(String, AwsFilePaths)>>,
    container: Made,
    instance: Made,
    counters: Counters,
    fetches: Option<Arc<Fetches>>,
    readers: audit::Readers,
}

/// A document of the newest session.
#[derive(Default)]
struct Made(ArcSwapOption<(Arc<Session>, Bytes)>);

/// What has happened to a role's readers.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Sessions handed out.
    pub reads: AtomicU64,
    /// Requests that had to wait for a session.
    pub held: AtomicU64,
    /// Requests that waited in vain.
    pub unavailable: AtomicU64,
}

/// All roles by name, replaced as a whole.
#[derive(Default)]
pub(crate) struct Roles(ArcSwap<HashMap<RoleName, Role>>);

// === impl Role ===

impl Role {
    /// Serves `credentials` under this name to those who have the token and whom the rule admits.
    pub fn new(
        name: RoleName,
        credentials: RefreshableCredentials,
        tokens: impl Into<Arc<Tokens>>,
        rule: Rule,
    ) -> Self {
        let (container, instance, counters, readers) = Default::default();
        let (tokens, profile, fetches) = (tokens.into(), None, None);
        let rule = (rule != ANYBODY).then(|| Box::new(rule));
        Self(Arc::new(Inner {
            name,
            credentials,
            tokens,
            rule,
            profile,
            container,
            instance,
            counters,
            fetches,
            readers,
        }))
    }

    /// The same, known to be what this profile of these files means, and nothing else.
    pub(crate) fn made_of(self, profile: String, files: AwsFilePaths) -> Self {
        let Self(mut inner) = self;
        // It has just been made: there is no other handle.
        if let Some(inner) = Arc::get_mut(&mut inner) {
            inner.profile = Some(Box::new((profile, files)));
        }
        Self(inner)
    }

    /// The same, with the count that its source keeps ([`Measured`](crate::Measured)).
    #[must_use]
    pub fn with_fetches(self, fetches: Arc<Fetches>) -> Self {
        let Self(mut inner) = self;
        // It has just been made: there is no other handle.
        if let Some(inner) = Arc::get_mut(&mut inner) {
            inner.fetches = Some(fetches);
        }
        Self(inner)
    }

    /// The same, going on from what has happened to the readers of `old`.
    #[must_use]
    pub(crate) fn counting_on(self, old: &Self) -> Self {
        let Counters { reads, held, unavailable } = self.counters();
        let before = old.counters();
        for (count, old) in
            [(reads, &before.reads), (held, &before.held), (unavailable, &before.unavailable)]
        {
            count.fetch_add(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self
    }

    pub(crate) fn is_made_of(&self, profile: &str, files: &AwsFilePaths) -> bool {
        let own = self.0.profile.as_deref();
        own.is_some_and(|(name, own)| name == profile && own == files)
    }

    /// Its name, which is part of its path.
    pub fn name(&self) -> &RoleName {
        &self.0.name
    }

    /// What it serves.
    pub fn credentials(&self) -> &RefreshableCredentials {
        &self.0.credentials
    }

    /// What a container client has to bring.
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn shared_tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.0.tokens)
    }

    /// Whom it may be served to.
    pub fn rule(&self) -> &Rule {
        self.0.rule.as_deref().unwrap_or(&ANYBODY)
    }

    /// What has happened to its readers.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// How its fetches have gone, if somebody counts them.
    pub fn fetches(&self) -> Option<&Arc<Fetches>> {
        self.0.fetches.as_ref()
    }

    pub(crate) fn readers(&self) -> &audit::Readers {
        &self.0.readers
    }

    /// The newest session. While there is none, the request is held for so long: an error would put
    /// an SDK to sleep for minutes, and the fetch may be back in a moment.
    pub(crate) async fn session(&self, hold: Duration) -> Result<Current, Error> {
        let Counters { reads, held, unavailable } = &self.0.counters;
        let got = match self.0.credentials.ready() {
            Some(current) => Ok(current),
            None => {
                held.fetch_add(1, Ordering::Relaxed);
                self.0.credentials.get_patiently(hold).await
            }
        };
        let counter = if got.is_ok() { reads } else { unavailable };
        counter.fetch_add(1, Ordering::Relaxed);
        got
    }

    pub(crate) fn container_document(&self, session: &Current) -> Bytes {
        self.0.container.of(session, document::container)
    }

    pub(crate) fn instance_document(&self, session: &Current) -> Bytes {
        self.0.instance.of(session, document::instance)
    }

    /// Wipes the documents of a session that is no longer held.
    pub(crate) fn forget_what_ended(&self) {
        if self.0.credentials.current().is_none() {
            self.0.container.0.store(None);
            self.0.instance.0.store(None);
        }
    }
}

impl Made {
    fn of(&self, session: &Current, make: fn(&Session) -> Bytes) -> Bytes {
        if let Some(made) = &*self.0.load()
            && std::ptr::eq(&*made.0, &**session)
        {
            return made.1.clone();
        }
        let body = make(session);
        self.0.store(Some(Arc::new((session.share(), body.clone()))));
        body
    }
}

// === impl Roles ===

impl Roles {
    pub(crate) fn get(&self, name: &str) -> Option<Role> {
        self.0.load().get(name).cloned()
    }

    /// Any for which this is so.
    pub(crate) fn find(&self, is_it: impl Fn(&Role) -> bool) -> Option<Role> {
        self.0.load().values().find(|role| is_it(role)).cloned()
    }

    /// By name, in its order.
    pub(crate) fn all(&self) -> Vec<Role> {
        let mut all: Vec<Role> = self.0.load().values().cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    pub(crate) fn replace(&self, roles: Vec<Role>) {
        self.0.store(Arc::new(roles.into_iter().map(|role| (role.name().clone(), role)).collect()));
    }
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Role").field("name", &self.0.name).finish_non_exhaustive()
    }
}
