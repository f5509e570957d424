//! A source that does what a case says, on a clock that does too.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Credentials, Current, Elapsed, Error, Failure, Issued, Source, Status, WallTime,
    clock::Simulated, sources::Fetch,
};
use tokio::sync::watch;

use crate::{
    case::Behaviour,
    face::{Facts, Outcome, failure, key},
    words::Span,
};

/// A case's hold on a source.
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Simulated,
    behaviour: watch::Sender<Behaviour>,
    /// What the elapsed clock has missed of the truth, in seconds.
    missed: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    called_at: Elapsed,
    under_way: u64,
    most_at_once: u64,
    last_key: String,
}

/// Counts itself among the calls under way while it lives.
struct Call<'a>(&'a Inner, u64);

// === impl Script ===

impl Script {
    pub(crate) fn new(clock: &Simulated, behaviour: Behaviour) -> Self {
        Self(Arc::new(Inner {
            clock: clock.clone(),
            behaviour: watch::Sender::new(behaviour),
            missed: AtomicI64::new(0),
            state: Mutex::default(),
        }))
    }

    pub(crate) fn does(&self, behaviour: Behaviour) {
        self.0.behaviour.send_replace(behaviour);
    }

    /// Time goes by that the elapsed clock misses.
    pub(crate) fn pause(&self, duration: Duration) -> i64 {
        let seconds = i64::try_from(duration.as_secs()).unwrap();
        self.0.missed.fetch_add(seconds, Ordering::SeqCst);
        self.0.clock.step_wall(seconds);
        seconds
    }

    /// When a call that hangs was made.
    pub(crate) fn hangs_since(&self) -> Option<Elapsed> {
        let state = self.0.state.lock().unwrap();
        let hangs = matches!(*self.0.behaviour.borrow(), Behaviour::Hangs);
        (hangs && state.under_way > 0).then_some(state.called_at)
    }

    /// What `status` and the source know.
    pub(crate) fn facts(&self, status: &Status) -> Facts {
        let state = self.0.state.lock().unwrap();
        Facts {
            calls: state.calls,
            most_at_once: state.most_at_once,
            key: status.access_key_id.clone(),
            remaining: status.remaining,
            next_refresh: status.next_refresh,
            last_error: status.last_error.as_ref().map(|error| error.kind()),
            next_try: status.last_error.as_ref().and_then(|error| error.next_try()),
            is_rejected: status.is_rejected,
        }
    }
}

/// What a read came to.
pub(crate) fn outcome(read: Result<Current, Error>) -> Outcome {
    match read {
        Ok(session) => Outcome::Served(session.access_key_id().to_owned()),
        Err(error) => Outcome::Refused(error.kind()),
    }
}

impl Source for Script {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let call = Call::begin(&self.0);
            let mut told = self.0.behaviour.subscribe();
            let is_told = |behaviour: &Behaviour| !matches!(behaviour, Behaviour::Hangs);
            let behaviour = *told.wait_for(is_told).await.expect("the case goes on");
            call.answer(behaviour)
        })
    }

    fn name(&self) -> String {
        "arn:aws:iam::123456789012:role/conformance".into()
    }
}

// === impl Call ===

impl<'a> Call<'a> {
    fn begin(inner: &'a Inner) -> Self {
        let mut state = inner.state.lock().unwrap();
        state.calls += 1;
        state.called_at = inner.clock.now().elapsed;
        state.under_way += 1;
        state.most_at_once = state.most_at_once.max(state.under_way);
        Self(inner, state.calls)
    }

    fn answer(&self, behaviour: Behaviour) -> Result<Issued, Failure> {
        match behaviour {
            Behaviour::Hangs => unreachable!("it was told"),
            Behaviour::Session { lives: Span(lives), same_key } => {
                let mut state = self.0.state.lock().unwrap();
                if !same_key || state.last_key.is_empty() {
                    state.last_key = key(self.1);
                }
                let credentials = Credentials::new(&state.last_key, "the-secret", "the-token");
                let now = self.0.issuer_now();
                Ok(Issued::new(credentials, now.after(lives)).with_issued_at(now))
            }
            Behaviour::Fails { kind, retry_after, tells_time } => {
                let after = retry_after.map(|Span(after)| after);
                let date = tells_time.then(|| self.0.issuer_now());
                Err(failure(kind.into(), after, date))
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}

// === impl Inner ===

impl Inner {
    /// By a clock that nobody here can step: the truth.
    fn issuer_now(&self) -> WallTime {
        let missed = self.missed.load(Ordering::SeqCst);
        let run = self.clock.now().elapsed.since(Elapsed::default());
        WallTime::from_unix_secs(1_767_225_600 + missed).after(run)
    }
}
