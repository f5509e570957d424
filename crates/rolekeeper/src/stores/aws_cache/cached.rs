//! A source that looks into the AWS CLI's cache before it makes a session.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolekeeper_core::{Failure, Issued, RefreshPolicy, Sharing, Step};
use tokio::time::timeout;

use super::{AwsCache, AwsCacheKey, files::Oddity};
use crate::{
    Clock, Source,
    sources::{Fetch, KeyOf},
};

/// A home folder on a network may take a while. Nobody waits longer for what is a convenience.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes a session of the cache that is young enough, else its source's. It stands before a store:
/// what it finds is of whoever put it there, and no store's to hand on.
pub(crate) struct AwsCached {
    source: Arc<dyn Source>,
    cache: AwsCache,
    key: AwsCacheKey,
    clock: Clock,
    /// Judges what is found as it does what a store has. There is nobody to lease from.
    sharing: Mutex<Sharing>,
    /// Each is told once.
    is_reading_told: AtomicBool,
    is_writing_told: AtomicBool,
}

// === impl AwsCached ===

impl AwsCached {
    pub(crate) fn new(
        source: Arc<dyn Source>,
        cache: AwsCache,
        key: AwsCacheKey,
        policy: Arc<RefreshPolicy>,
        clock: Clock,
        seed: u64,
    ) -> Self {
        let sharing = Mutex::new(Sharing::new(policy, Duration::ZERO, seed));
        let (is_reading_told, is_writing_told) = Default::default();
        Self { source, cache, key, clock, sharing, is_reading_told, is_writing_told }
    }

    fn sharing(&self) -> MutexGuard<'_, Sharing> {
        self.sharing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn errand(&self) -> Result<Issued, Failure> {
        let found = self.look().await;
        if let Step::Done(outcome) = self.begin(found) {
            return outcome;
        }
        let outcome = self.source.fetch().await;
        if let Ok(issued) = &outcome
            && self.cache.writes()
        {
            self.put(issued.clone()).await;
        }
        // From here on what was found may still go before a failure, and what was fetched is known:
        // it isn't taken again if it is refused.
        match self.sharing().fetched(self.clock.now(), outcome) {
            Step::Done(outcome) => outcome,
            _ => Err(Failure::unavailable("the AWS CLI's cache gives no leases")),
        }
    }

    fn begin(&self, found: Option<Issued>) -> Step {
        let now = self.clock.now();
        let mut sharing = self.sharing();
        sharing.begin(now);
        sharing.loaded(now, Ok(found))
    }

    async fn look(&self) -> Option<Issued> {
        let (cache, key, now) = (self.cache.clone(), self.key.clone(), self.clock.now());
        let (found, odd) = away(move || cache.read(&key, now)).await?;
        if !odd.is_empty() && !self.is_reading_told.swap(true, Ordering::Relaxed) {
            for Oddity { path, why } in odd {
                tracing::warn!(file = %path.display(), why, "not used: the session in the AWS CLI's cache");
            }
        }
        found
    }

    async fn put(&self, issued: Issued) {
        let (cache, key, now) = (self.cache.clone(), self.key.clone(), self.clock.now());
        let odd = away(move || cache.write(&key, &issued, now)).await.unwrap_or_default();
        if !odd.is_empty() && !self.is_writing_told.swap(true, Ordering::Relaxed) {
            for Oddity { path, why } in odd {
                tracing::warn!(file = %path.display(), why, "cannot write into the AWS CLI's cache");
            }
        }
    }
}

/// Files may block a thread: not one of the runtime's. `None`: it takes too long.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(PATIENCE, tokio::task::spawn_blocking(work)).await.ok()?.ok()
}

impl Source for AwsCached {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.errand())
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn account(&self) -> Option<String> {
        self.source.account()
    }

    fn keeps_fresh(&self) -> bool {
        self.source.keeps_fresh()
    }

    fn refused(&self, access_key_id: &str) {
        self.sharing().refused(access_key_id);
        self.source.refused(access_key_id);
    }

    /// None: a store around this one would hand on what came from the cache.
    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl fmt::Debug for AwsCached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} behind the AWS CLI's cache", self.source)
    }
}

#[cfg(test)]
mod tests {
    use rolekeeper_core::{Credentials, FailureKind};

    use super::*;
    use crate::stores::aws_cache::Arguments;

    /// Gives sessions of an hour, `ASIA1` and so on, until it is to fail.
    #[derive(Debug, Default)]
    struct Counting(Mutex<(u32, bool)>);

    impl Source for Counting {
        fn fetch(&self) -> Fetch<'_> {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            let outcome = if state.1 {
                Err(Failure::unavailable("down"))
            } else {
                Ok(hour(state.0, &format!("ASIA{}", state.0)))
            };
            Box::pin(std::future::ready(outcome))
        }

        fn name(&self) -> String {
            "counting".to_owned()
        }
    }

    /// So many seconds more: one that is fetched later ends later.
    fn hour(more: u32, id: &str) -> Issued {
        let end = Clock::System.now().wall.after(Duration::from_secs(3600 + u64::from(more)));
        Issued::new(Credentials::new(id, "secret", "token"), end)
    }

    fn key() -> AwsCacheKey {
        let role_arn = "arn:aws:iam::123456789012:role/etl";
        let (session_name, external_id, mfa_serial, duration_seconds) = Default::default();
        Arguments { role_arn, session_name, external_id, mfa_serial, duration_seconds }
            .key()
            .unwrap()
    }

    fn cached(source: &Arc<Counting>, folder: &tempfile::TempDir) -> AwsCached {
        let cache = AwsCache::within(folder.path()).and_write();
        let source = Arc::clone(source) as Arc<dyn Source>;
        AwsCached::new(source, cache, key(), Arc::default(), Clock::System, 1)
    }

    async fn id(cached: &AwsCached) -> Result<String, Failure> {
        cached.fetch().await.map(|issued| issued.credentials.access_key_id)
    }

    #[tokio::test]
    async fn a_session_that_was_refused_is_not_taken_again() {
        let (source, folder) = (Arc::default(), tempfile::tempdir().unwrap());
        let cached = cached(&source, &folder);
        assert_eq!(id(&cached).await.unwrap(), "ASIA1");
        cached.refused("ASIA1");
        assert_eq!(id(&cached).await.unwrap(), "ASIA2");
        cached.refused("ASIA2");
        // It ends earlier, and is better than one that was refused.
        let (cache, other) = (AwsCache::within(folder.path()).and_write(), hour(0, "ASIAOTHER"));
        assert!(cache.write(&key(), &other, Clock::System.now()).is_empty());
        assert_eq!(id(&cached).await.unwrap(), "ASIAOTHER");
    }

    #[tokio::test]
    async fn a_session_is_replaced_by_another_programs_and_never_by_itself() {
        let (source, folder) = (Arc::default(), tempfile::tempdir().unwrap());
        let (first, second) = (cached(&source, &folder), cached(&source, &folder));
        assert_eq!(id(&first).await.unwrap(), "ASIA1");
        assert_eq!(id(&second).await.unwrap(), "ASIA1");
        assert_eq!(id(&first).await.unwrap(), "ASIA2");
        assert_eq!(id(&second).await.unwrap(), "ASIA2");
        assert_eq!(source.0.lock().unwrap().0, 2);
    }

    #[tokio::test]
    async fn one_past_its_refresh_point_goes_before_a_failure_but_not_before_a_session() {
        let (source, folder) = (Arc::<Counting>::default(), tempfile::tempdir().unwrap());
        let mut old = hour(0, "ASIAOLD");
        old.expiration = old.expiration.before(Duration::from_secs(40 * 60));
        let odd =
            AwsCache::within(folder.path()).and_write().write(&key(), &old, Clock::System.now());
        assert!(odd.is_empty());
        source.0.lock().unwrap().1 = true;
        assert_eq!(id(&cached(&source, &folder)).await.unwrap(), "ASIAOLD");
        source.0.lock().unwrap().1 = false;
        let cached = cached(&source, &folder);
        assert_eq!(id(&cached).await.unwrap(), "ASIA2");
        source.0.lock().unwrap().1 = true;
        assert_eq!(id(&cached).await.unwrap_err().kind, FailureKind::Unavailable);
    }
}
