//! A source that does what a story says, and notices when it is asked twice at a time.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use rolekeeper::{
    Credentials, Failure, Issued, Source, WallTime,
    sources::{Fetch, KeyOf},
    stores::StoreKey,
};
use rolekeeper_core::Elapsed;
use shuttle::{
    future::yield_now,
    rand::{Rng, thread_rng},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::time;

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Session,
    Fails,
    Denies,
    /// Until its time is over.
    Hangs,
}

/// Clones are the same source.
#[derive(Clone)]
pub(super) struct Script(Arc<Inner>);

struct Inner {
    name: &'static str,
    key: Option<StoreKey>,
    answers: Mutex<Vec<Answer>>,
    fetching: AtomicUsize,
    /// When it was asked, and its siblings.
    asked: Arc<Mutex<Vec<Elapsed>>>,
}

/// One call of the source.
struct Fetching<'a>(&'a Inner);

// === impl Script ===

impl Script {
    /// It gives sessions, which nobody shares.
    pub(super) fn new(name: &'static str) -> Self {
        Self::with_key(name, None)
    }

    /// Who has the same name has the same sessions.
    pub(super) fn shared(name: &'static str) -> Self {
        Self::with_key(name, Some(StoreKey::of(name).build()))
    }

    fn with_key(name: &'static str, key: Option<StoreKey>) -> Self {
        Self(Arc::new(Inner {
            name,
            key,
            answers: Mutex::new(vec![Answer::Session]),
            fetching: AtomicUsize::new(0),
            asked: Arc::default(),
        }))
    }

    /// Another source, whose calls are counted with those of this one.
    pub(super) fn sibling(&self, name: &'static str) -> Self {
        Self(Arc::new(Inner {
            name,
            key: None,
            answers: Mutex::new(vec![Answer::Session]),
            fetching: AtomicUsize::new(0),
            asked: Arc::clone(&self.0.asked),
        }))
    }

    /// Any of these, each time.
    pub(super) fn gives(&self, answers: &[Answer]) {
        *self.0.answers.lock().unwrap() = answers.to_vec();
    }

    pub(super) fn asked(&self) -> Vec<Elapsed> {
        self.0.asked.lock().unwrap().clone()
    }

    async fn session(&self) -> Result<Issued, Failure> {
        let inner = &self.0;
        assert_eq!(inner.fetching.fetch_add(1, Ordering::SeqCst), 0, "two fetches at a time");
        let _fetching = Fetching(inner);
        let now = time::now();
        let number = {
            let mut asked = inner.asked.lock().unwrap();
            asked.push(now.elapsed);
            asked.len()
        };
        yield_now().await;
        let answer = {
            let answers = inner.answers.lock().unwrap();
            answers[thread_rng().gen_range(0..answers.len())]
        };
        match answer {
            Answer::Session => {
                let key = format!("ASIA{}{number}", inner.name);
                let end: WallTime = now.wall.after(Duration::from_secs(3600));
                let credentials = Credentials::new(key, "secret", "token");
                Ok(Issued::new(credentials, end).with_issued_at(now.wall))
            }
            Answer::Fails => Err(Failure::unavailable("down")),
            Answer::Denies => Err(Failure::denied("no")),
            Answer::Hangs => pending().await,
        }
    }
}

impl Source for Script {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.session())
    }

    fn name(&self) -> String {
        self.0.name.to_owned()
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(self.0.key)))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

// === impl Fetching ===

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.fetching.fetch_sub(1, Ordering::SeqCst);
    }
}
