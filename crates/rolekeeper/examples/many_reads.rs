//! `many_reads READS REFRESHES`: so many reads, by each way there is, over so many refreshes in
//! virtual time. What the process weighs is printed ten times on the way: it must not grow.
//! `cargo xtask leaks` runs it, by itself and under programs that count what is never freed.
//!
//! Besides, all along: a reader keeps a session over the next refreshes, sessions are rejected, the
//! source fails now and then, roles come into a keyring and go, and somebody watches the events.

#![allow(clippy::unwrap_used, reason = "a chore, like the tests")]
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::{
    fmt::Debug,
    fs,
    future::ready,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_credential_types::provider::ProvideCredentials;
use rolekeeper::{
    Clock, Credentials, Failure, Issued, Keyring, RefreshPolicy, RefreshableCredentials, Source,
    WallTime,
    clock::Simulated,
    sources::{Callback, Fetch, KeyOf},
    stores::{MemoryStore, StoreKey},
};

/// How long a session lives.
const LIFETIME: Duration = Duration::from_secs(3600);

/// One refresh in so many fails, and is made up for by its retry.
const FAILS_EACH: u64 = 50;

/// One session in so many is rejected, and a role comes and goes.
const REJECTED_EACH: u64 = 20;

/// How often and after how long a source that was down is asked again, beyond every pause of ours.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(60);

/// So many times what the process weighs is printed.
const PARTS: u64 = 10;

/// Makes sessions, and counts the calls for them.
#[derive(Clone, Debug)]
struct Calls {
    clock: Simulated,
    number: Arc<AtomicU64>,
}

struct World {
    calls: Calls,
    /// By virtual time.
    refreshed: RefreshableCredentials,
    /// As a program has it, with the machine's clocks: the readers' fast lane is open.
    live: RefreshableCredentials,
    on_demand: RefreshableCredentials,
    /// Two that share one session.
    sharing: [RefreshableCredentials; 2],
    keyring: Keyring<u64>,
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().unwrap());
    let (reads, refreshes) = (arguments.next().unwrap(), arguments.next().unwrap());
    let world = World::new();
    let mut events = world.refreshed.events();
    let mut kept = got(|| world.refreshed.get()).await;
    let (mut read, mut part) = (0, 0);
    for refresh in 1..=refreshes {
        let before = world.refreshed.status().counters.fetched;
        while world.refreshed.status().counters.fetched == before {
            // Within half of its lifetime, or with a retry a little later.
            tokio::time::sleep(LIFETIME / 4).await;
        }
        if refresh % REJECTED_EACH == 0 {
            world.trouble(refresh).await;
        }
        if refresh % 3 == 0 {
            kept = got(|| world.refreshed.get()).await;
        }
        black_box(&kept);
        while events.try_recv().is_ok() {}
        let goal = reads * refresh / refreshes;
        world.read(goal - read).await;
        read = goal;
        if refresh * PARTS / refreshes > part {
            part = refresh * PARTS / refreshes;
            let calls = world.calls.number.load(Ordering::Relaxed);
            let percent = 100 * part / PARTS;
            let weight = resident_kib();
            println!(
                "{percent:>3} %  {read} reads  {refresh} refreshes  {calls} calls  {weight} KiB"
            );
        }
    }
}

// === impl World ===

impl World {
    fn new() -> Self {
        let clock = Simulated::new();
        let calls = Calls { clock: clock.clone(), number: Arc::default() };
        let clock = Clock::Simulated(clock);
        let by = |policy: RefreshPolicy| {
            RefreshableCredentials::builder(calls.clone()).clock(clock.clone()).policy(policy)
        };
        let store = Arc::new(MemoryStore::with_clock(clock.clone()));
        let sharing = || by(RefreshPolicy::default()).store(Arc::clone(&store) as Arc<_>).build();
        Self {
            refreshed: by(RefreshPolicy::default()).build(),
            live: RefreshableCredentials::builder(forever()).build(),
            on_demand: by(RefreshPolicy::on_demand()).build(),
            sharing: [sharing(), sharing()],
            keyring: Keyring::new().with_clock(clock.clone()),
            calls,
        }
    }

    /// So many reads, in turn by each way.
    async fn read(&self, count: u64) {
        for number in 0..count {
            match number % 8 {
                0 => drop(black_box(self.refreshed.current())),
                1 => drop(black_box(got(|| self.refreshed.get()).await)),
                2 => drop(black_box(self.refreshed.ready())),
                3 => drop(black_box(got(|| self.refreshed.provide_credentials()).await)),
                4 => drop(black_box(self.live.get().await.unwrap())),
                5 => drop(black_box(self.live.current().unwrap().share())),
                6 => drop(black_box(got(|| self.on_demand.get()).await)),
                _ => drop(black_box(got(|| self.sharing[0].get()).await)),
            }
        }
    }

    /// A service rejects the session that is held; a role comes, is read, and goes.
    async fn trouble(&self, number: u64) {
        let held = got(|| self.refreshed.get()).await;
        self.refreshed.rejected(held.access_key_id());
        got(|| self.refreshed.get()).await;
        got(|| self.sharing[1].refresh_now()).await;
        let role = self.keyring.get_or_insert(number, || self.calls.clone());
        got(|| role.get()).await;
        self.keyring.remove(&number);
    }
}

// === impl Calls ===

impl Calls {
    fn next(&self) -> Result<Issued, Failure> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        if number % FAILS_EACH == FAILS_EACH - 1 {
            return Err(Failure::unavailable("down for once"));
        }
        let now = self.clock.now().wall;
        let credentials =
            Credentials::new(format!("ASIA{number:016}"), "s".repeat(40), "t".repeat(700));
        Ok(Issued::new(credentials, now.after(LIFETIME)).with_issued_at(now))
    }
}

impl Source for Calls {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(ready(self.next()))
    }

    fn name(&self) -> String {
        "many reads".to_owned()
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(ready(Ok(Some(StoreKey::of("many reads").build()))))
    }
}

/// What is asked for. Nothing may be held just when the source is down: then it is there a little later.
async fn got<T, E, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: Debug,
{
    for _ in 1..TRIES {
        match ask().await {
            Ok(outcome) => return outcome,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    ask().await.unwrap()
}

/// A session that no run of this sees the end of.
fn forever() -> Callback {
    Callback::new("for ever", || async {
        let end = WallTime::from_unix_secs(4_102_444_800);
        Ok::<_, Failure>(Issued::new(Credentials::new("ASIALIVE", "secret", "token"), end))
    })
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
