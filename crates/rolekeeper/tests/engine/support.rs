//! A source that does what it is told, on a clock that does too.

use std::{
    collections::VecDeque,
    env,
    future::pending,
    process::Command,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use rolekeeper::{
    Clock, Credentials, Elapsed, Failure, Issued, RefreshPolicy, RefreshableCredentials, Session,
    Source, WallTime, clock::Simulated, sources::Fetch,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What every secret of these tests holds; it must never be seen.
pub(crate) const SECRET: &str = "wJalrSECRET";

/// What a source does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A session of this life.
    Session(Duration),
    /// A session that ends then, by a service's clock that it doesn't tell.
    EndsAt(WallTime),
    Fails(Failure),
    Hangs,
    Panics,
}

/// A test's hold on its source; the source itself is [`Script::source`].
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Simulated,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: VecDeque<Answer>,
    then: Answer,
    takes: Duration,
    /// How far the issuer's clock is ahead of a right one, in seconds.
    issuer_ahead: i64,
    called_at: Vec<Elapsed>,
    running: usize,
    most_at_once: usize,
}

#[derive(Debug)]
pub(crate) struct Scripted {
    script: Arc<Inner>,
    /// Tells the test whether this source still lives.
    life: Arc<()>,
}

/// Counts itself among the calls under way while it lives.
struct Running<'a>(&'a Inner);

// === impl Script ===

impl Script {
    /// Sessions of an hour, at once.
    pub(crate) fn new(clock: &Simulated) -> Self {
        let state = State {
            next: VecDeque::new(),
            then: Answer::Session(HOUR),
            takes: Duration::ZERO,
            issuer_ahead: 0,
            called_at: Vec::new(),
            running: 0,
            most_at_once: 0,
        };
        Self(Arc::new(Inner { clock: clock.clone(), state: Mutex::new(state) }))
    }

    pub(crate) fn answers(&self, answer: Answer) -> &Self {
        self.0.state.lock().unwrap().then = answer;
        self
    }

    /// Before what it answers from then on.
    pub(crate) fn answers_first(&self, answers: impl IntoIterator<Item = Answer>) -> &Self {
        self.0.state.lock().unwrap().next.extend(answers);
        self
    }

    pub(crate) fn takes(&self, duration: Duration) -> &Self {
        self.0.state.lock().unwrap().takes = duration;
        self
    }

    pub(crate) fn issuer_is_ahead(&self, seconds: i64) -> &Self {
        self.0.state.lock().unwrap().issuer_ahead = seconds;
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.state.lock().unwrap().called_at.len()
    }

    pub(crate) fn called_at(&self) -> Vec<Elapsed> {
        self.0.state.lock().unwrap().called_at.clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.0.state.lock().unwrap().most_at_once
    }

    /// What the issuer's clock shows.
    pub(crate) fn issuer_now(&self) -> WallTime {
        let ahead = self.0.state.lock().unwrap().issuer_ahead;
        self.0.issuer_now(ahead)
    }

    pub(crate) fn source(&self) -> Scripted {
        Scripted { script: Arc::clone(&self.0), life: Arc::new(()) }
    }

    /// In the background, with a seed of its own.
    pub(crate) fn kept(&self) -> RefreshableCredentials {
        self.kept_by(RefreshPolicy::default())
    }

    pub(crate) fn kept_by(&self, policy: RefreshPolicy) -> RefreshableCredentials {
        RefreshableCredentials::builder(self.source())
            .clock(Clock::Simulated(self.0.clock.clone()))
            .policy(policy)
            .seed(7)
            .build()
    }
}

// === impl Inner ===

impl Inner {
    fn issuer_now(&self, ahead: i64) -> WallTime {
        let right = WallTime::from_unix_secs(1_767_225_600 + ahead);
        let run = self.clock.now().elapsed.since(Elapsed::default());
        right.after(run)
    }
}

// === impl Scripted ===

impl Scripted {
    pub(crate) fn life(&self) -> Weak<()> {
        Arc::downgrade(&self.life)
    }
}

impl Source for Scripted {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let now = self.script.clock.now().elapsed;
            let (answer, takes, number, ahead) = {
                let mut state = self.script.state.lock().unwrap();
                state.called_at.push(now);
                state.running += 1;
                state.most_at_once = state.most_at_once.max(state.running);
                let answer = state.next.pop_front().unwrap_or_else(|| state.then.clone());
                (answer, state.takes, state.called_at.len(), state.issuer_ahead)
            };
            let _running = Running(&self.script);
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let issuer_now = self.script.issuer_now(ahead);
            match answer {
                Answer::Session(life) => {
                    Ok(issued(number, issuer_now.after(life)).with_issued_at(issuer_now))
                }
                Answer::EndsAt(end) => Ok(issued(number, end)),
                Answer::Fails(failure) => Err(failure),
                Answer::Hangs => pending().await,
                Answer::Panics => panic!("the source panics, as it was told to: {SECRET}"),
            }
        })
    }

    fn name(&self) -> String {
        "arn:aws:iam::123456789012:role/demo".into()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().running -= 1;
    }
}

pub(crate) fn issued(number: usize, expiration: WallTime) -> Issued {
    let credentials = Credentials::new(
        format!("ASIA{number:04}"),
        format!("{SECRET}/key/{number}"),
        format!("{SECRET}/token/{number}"),
    );
    Issued::new(credentials, expiration).with_account_id("123456789012")
}

/// A session made elsewhere, that arrives now.
pub(crate) fn session(clock: &Simulated, number: usize, life: Duration) -> Arc<Session> {
    let now = clock.now();
    Arc::new(Session::place(issued(number, now.wall.after(life)), now, 1))
}

pub(crate) fn down() -> Failure {
    Failure::unavailable("connection refused")
}

pub(crate) fn denied() -> Failure {
    Failure::denied("not authorized to perform sts:AssumeRole").with_code("AccessDenied")
}

/// Lets everything happen that happens without time passing.
pub(crate) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass, and everything happen that is due by then.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
    settle().await;
}

/// How long `future` took by the virtual clock, and what it came to.
pub(crate) async fn timed<T>(clock: &Simulated, future: impl Future<Output = T>) -> (Duration, T) {
    let start = clock.now().elapsed;
    let value = future.await;
    (clock.now().elapsed.since(start), value)
}

/// All of them at once; each result with how long it took.
pub(crate) async fn all_at_once<T: Send + 'static>(
    clock: &Simulated,
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<(Duration, T)> {
    let start = |future| {
        let clock = clock.clone();
        tokio::spawn(async move { timed(&clock, future).await })
    };
    let tasks: Vec<_> = futures.into_iter().map(start).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// Runs an ignored test in a process of its own, where nobody else starts threads or decides what
/// is logged.
pub(crate) fn alone(test: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
