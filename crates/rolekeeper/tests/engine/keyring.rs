//! Many roles: each made once, all at one pace, the idle ones let go.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rolekeeper::{
    Clock, Elapsed, EventKind, Keyring, RefreshPolicy, RefreshableCredentials, Source,
    clock::Simulated, sources::Fetch,
};

use crate::support::{HOUR, MINUTE, Script, issued, pass, settle};

/// Who was asked for, and when, in order.
type Asked = Arc<Mutex<Vec<(Elapsed, usize)>>>;

/// One of many roles of some account.
#[derive(Debug)]
struct Role {
    number: usize,
    account: &'static str,
    life: Duration,
    clock: Simulated,
    asked: Asked,
}

impl Source for Role {
    fn fetch(&self) -> Fetch<'_> {
        let now = self.clock.now();
        self.asked.lock().unwrap().push((now.elapsed, self.number));
        let issued = issued(self.number, now.wall.after(self.life)).with_issued_at(now.wall);
        Box::pin(async { Ok(issued) })
    }

    fn name(&self) -> String {
        format!("role {}", self.number)
    }

    fn account(&self) -> Option<String> {
        Some(self.account.into())
    }
}

fn ring(clock: &Simulated) -> Keyring<usize> {
    Keyring::new().with_clock(Clock::Simulated(clock.clone()))
}

fn add(
    ring: &Keyring<usize>,
    clock: &Simulated,
    asked: &Asked,
    (number, account, life): (usize, &'static str, Duration),
) -> RefreshableCredentials {
    let (clock, asked) = (clock.clone(), Arc::clone(asked));
    ring.get_or_insert(number, || Role { number, account, life, clock, asked })
}

fn assert_paced(asked: &[(Elapsed, usize)], per_second: u32) {
    for pair in asked.windows(2) {
        let gap = pair[1].0.since(pair[0].0);
        assert!(gap >= Duration::from_secs(1) / per_second, "{gap:?} between two fetches");
    }
}

#[test]
fn each_key_is_made_once_however_many_ask_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ring = Keyring::new().with_policy(RefreshPolicy::on_demand());
    let (made, start) = (AtomicUsize::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _inside = runtime.enter();
                let script = Script::new(&Simulated::new());
                start.wait();
                for key in 0..100 {
                    ring.get_or_insert(key, || {
                        made.fetch_add(1, Ordering::SeqCst);
                        script.source()
                    });
                }
            });
        }
    });
    assert_eq!((ring.len(), made.load(Ordering::SeqCst)), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn concurrent_readers_of_one_key_share_one_fetch() {
    let clock = Simulated::new();
    let (ring, asked) = (ring(&clock), Asked::default());
    for _ in 0..100 {
        add(&ring, &clock, &asked, (1, "1", HOUR)).get().await.unwrap();
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(ring.remove(&1).is_some() && ring.is_empty());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_roles_due_at_once_keep_to_the_pace() {
    let clock = Simulated::new();
    let (ring, asked) = (ring(&clock), Asked::default());
    for number in 0..10_000 {
        add(&ring, &clock, &asked, (number, "1", 12 * HOUR));
    }
    pass(Duration::from_secs(230)).await;
    assert_eq!(asked.lock().unwrap().len(), 10_000);
    assert_paced(&asked.lock().unwrap(), 50);

    // All past their refresh point in the same instant, and all still valid.
    asked.lock().unwrap().clear();
    clock.sleep(8 * HOUR);
    settle().await;
    assert!(ring.all().iter().all(|role| role.current().is_some()));
    pass(Duration::from_secs(230)).await;
    assert_eq!(asked.lock().unwrap().len(), 10_000);
    assert_paced(&asked.lock().unwrap(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_go_first() {
    let clock = Simulated::new();
    let (ring, asked) = (ring(&clock), Asked::default());
    // In no order: 7 and 300 have no common divisor.
    let life = |number: usize| 2 * HOUR + Duration::from_secs((number * 7 % 300) as u64 * 10);
    for number in 0..300 {
        add(&ring, &clock, &asked, (number, "1", life(number)));
    }
    pass(10 * Duration::from_secs(1)).await;
    asked.lock().unwrap().clear();
    clock.sleep(110 * MINUTE);
    pass(10 * Duration::from_secs(1)).await;

    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 300);
    // Whoever was there first went before there was a queue.
    let lives: Vec<_> = asked[1..].iter().map(|(_, number)| life(*number)).collect();
    assert!(lives.is_sorted(), "{lives:?}");
}

#[tokio::test(start_paused = true)]
async fn accounts_do_not_hold_each_other_up() {
    let clock = Simulated::new();
    let ring = ring(&clock);
    let (busy, calm) = (Asked::default(), Asked::default());
    for number in 0..1000 {
        add(&ring, &clock, &busy, (number, "1", HOUR));
    }
    let reader = add(&ring, &clock, &calm, (1000, "2", HOUR));
    reader.get().await.unwrap();
    assert_eq!(calm.lock().unwrap()[0].0, Elapsed::default(), "at once");
    pass(Duration::from_secs(21)).await;
    assert_eq!(busy.lock().unwrap().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_one_by_one_keep_to_the_pace_too() {
    let clock = Simulated::new();
    let (ring, asked) = (ring(&clock).with_pace(NonZeroU32::new(10).unwrap()), Asked::default());
    for number in 0..100 {
        add(&ring, &clock, &asked, (number, "1", HOUR));
        pass(Duration::from_millis(number as u64 * 37 % 200)).await;
    }
    pass(MINUTE).await;
    assert_eq!(asked.lock().unwrap().len(), 100);
    assert_paced(&asked.lock().unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn one_who_gave_up_costs_no_turn() {
    let clock = Simulated::new();
    let (ring, asked) = (ring(&clock).with_pace(NonZeroU32::MIN), Asked::default());
    for number in 0..100 {
        add(&ring, &clock, &asked, (number, "1", HOUR));
    }
    settle().await;
    for number in 1..99 {
        drop(ring.remove(&number));
    }
    pass(Duration::from_millis(1010)).await;
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[test]
fn the_queue_outlives_the_runtime_of_whoever_began_it() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let first = runtime();
    let (clock, asked) = (first.block_on(async { Simulated::new() }), Asked::default());
    let ring = ring(&clock);
    first.block_on(async {
        for number in 0..10 {
            add(&ring, &clock, &asked, (number, "1", HOUR));
        }
        settle().await;
    });
    drop(first);
    runtime().block_on(async {
        let other = add(&ring, &clock, &asked, (10, "1", HOUR));
        assert_eq!(other.get().await.unwrap().generation(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn an_idle_role_is_let_go_and_fetched_again_when_asked_for() {
    let clock = Simulated::new();
    let policy = RefreshPolicy::default().with_idle_after(HOUR);
    let (ring, asked) = (ring(&clock).with_policy(policy), Asked::default());
    let busy = add(&ring, &clock, &asked, (1, "1", 12 * HOUR));
    let idle = add(&ring, &clock, &asked, (2, "1", 12 * HOUR));
    let mut events = idle.events();
    let secrets = Arc::downgrade(&idle.get().await.unwrap().share());
    for _ in 0..60 {
        pass(10 * MINUTE).await;
        assert!(busy.current().is_some());
    }
    let fetched =
        |number| asked.lock().unwrap().iter().filter(|(_, asked)| *asked == number).count();
    assert_eq!((fetched(1), fetched(2)), (2, 1));
    assert!(idle.status().access_key_id.is_none() && secrets.upgrade().is_none());
    let kinds = std::iter::from_fn(|| events.try_recv().ok().map(|event| event.kind));
    assert!(matches!(kinds.last(), Some(EventKind::LetGo)));

    idle.get().await.unwrap();
    assert_eq!(fetched(2), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_does_not_make_an_idle_role_busy() {
    let clock = Simulated::new();
    let policy = RefreshPolicy::default().with_idle_after(HOUR);
    let (ring, asked) = (ring(&clock).with_policy(policy), Asked::default());
    let idle = add(&ring, &clock, &asked, (1, "1", HOUR));
    idle.get().await.unwrap();
    pass(24 * HOUR).await;
    assert!(idle.status().access_key_id.is_none());
    assert!(asked.lock().unwrap().len() < 6, "{}", asked.lock().unwrap().len());
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_when_each_role_refreshes_and_no_two_of_them_in_step() {
    let refreshes = async |seed| {
        let clock = Simulated::new();
        let ring = ring(&clock).with_seed(seed);
        let asked = Asked::default();
        for number in 0..3 {
            add(&ring, &clock, &asked, (number, "123456789012", HOUR));
        }
        pass(3 * HOUR).await;
        let asked = asked.lock().unwrap().clone();
        asked.into_iter().map(|(at, number)| (at.as_nanos(), number)).collect::<Vec<_>>()
    };
    let first = refreshes(1).await;
    assert_eq!(first, refreshes(1).await);
    assert_ne!(first, refreshes(2).await);
    // Role 0 next after the three of the beginning, and so forth, each by its own jitter.
    let second: Vec<i64> = first[3..6].iter().map(|(at, _)| *at).collect();
    assert!(second.windows(2).all(|pair| pair[1] - pair[0] > 1_000_000_000), "{second:?}");
}
