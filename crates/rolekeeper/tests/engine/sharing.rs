//! One session for all who have the same source and the same store.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rolekeeper::{
    Clock, EventKind, Failure, FailureKind, Issued, RefreshPolicy, RefreshableCredentials, Source,
    clock::Simulated,
    sources::{Fetch, KeyOf},
    stores::{Answer as StoreAnswer, MemoryStore, SessionStore, StoreError, StoreKey, Stored},
};
use rolekeeper_core::{Fence, Lease};

use crate::{
    log::Log,
    support::{Answer, HOUR, MINUTE, Script, Scripted, denied, down, pass, settle, timed},
};

const TAKES: Duration = Duration::from_millis(100);

/// A source that knows what its sessions are made of.
#[derive(Debug)]
struct Keyed(Scripted, &'static str);

impl Source for Keyed {
    fn fetch(&self) -> Fetch<'_> {
        self.0.fetch()
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn store_key(&self) -> KeyOf<'_> {
        let key = StoreKey::of("test").with("name", self.1).build();
        Box::pin(std::future::ready(Ok(Some(key))))
    }
}

type World = (Simulated, Script, Arc<dyn SessionStore>);

/// A clock, a source that takes 100 ms, and a store.
fn world() -> World {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(TAKES);
    let store = MemoryStore::with_clock(Clock::Simulated(clock.clone()));
    (clock, script, Arc::new(store))
}

fn one_of(many: u64, key: &'static str, world: &World) -> RefreshableCredentials {
    one_by(RefreshPolicy::default(), many, key, world)
}

fn one_by(
    policy: RefreshPolicy,
    many: u64,
    key: &'static str,
    (clock, script, store): &World,
) -> RefreshableCredentials {
    RefreshableCredentials::builder(Keyed(script.source(), key))
        .clock(Clock::Simulated(clock.clone()))
        .policy(policy)
        .store(Arc::clone(store))
        .seed(many)
        .build()
}

fn key_of(credentials: &RefreshableCredentials) -> String {
    credentials.current().unwrap().access_key_id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_begin_at_once_make_one_call_and_have_it_when_it_comes() {
    let world = world();
    let all: Vec<_> = (0..100).map(|many| one_of(many, "a", &world)).collect();
    for credentials in &all {
        let (took, read) = timed(&world.0, credentials.get()).await;
        assert_eq!(read.unwrap().access_key_id(), "ASIA0001");
        assert!(took < TAKES + Duration::from_millis(60), "{took:?}");
    }
    assert_eq!(world.1.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_takes_what_is_stored_with_its_true_age() {
    let world = world();
    let first = one_of(1, "a", &world);
    pass(20 * MINUTE).await;
    let second = one_of(2, "a", &world);
    let mut events = second.events();
    pass(MINUTE).await;
    assert!(matches!(events.recv().await.unwrap().kind, EventKind::Adopted { .. }));
    let (a, b) = (first.current().unwrap(), second.current().unwrap());
    assert_eq!(a.access_key_id(), b.access_key_id());
    assert_eq!(a.expiration(), b.expiration());
    let apart = a.remaining(world.0.now()).abs_diff(b.remaining(world.0.now()));
    assert!(apart < Duration::from_millis(200), "{apart:?}");
    assert_eq!(world.1.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn over_a_day_there_is_one_call_for_each_session() {
    let world = world();
    let all: Vec<_> = (0..20).map(|many| one_of(many, "a", &world)).collect();
    pass(24 * HOUR).await;
    assert!((48..56).contains(&world.1.calls()), "{} calls", world.1.calls());
    assert_eq!(world.1.most_at_once(), 1);
    for credentials in &all {
        assert!(credentials.current().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_is_another_session() {
    let world = world();
    let (a, b) = (one_of(1, "a", &world), one_of(2, "b", &world));
    pass(MINUTE).await;
    assert_ne!(key_of(&a), key_of(&b));
    assert_eq!(world.1.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_know_what_it_is_made_of_shares_nothing() {
    let world = world();
    for seed in 0..2 {
        let builder = RefreshableCredentials::builder(world.1.source());
        let credentials = builder
            .clock(Clock::Simulated(world.0.clone()))
            .store(Arc::clone(&world.2))
            .seed(seed)
            .build();
        credentials.get().await.unwrap();
    }
    assert_eq!(world.1.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_replaced_once_for_all() {
    let world = world();
    let all: Vec<_> = (0..10).map(|many| one_of(many, "a", &world)).collect();
    pass(MINUTE).await;
    for credentials in &all {
        credentials.rejected("ASIA0001");
    }
    pass(MINUTE).await;
    for credentials in &all {
        assert_eq!(key_of(credentials), "ASIA0002");
    }
    assert_eq!(world.1.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_replaces_a_refused_session_may_end_before_it() {
    let world = world();
    let all: Vec<_> = (0..10).map(|many| one_of(many, "a", &world)).collect();
    pass(MINUTE).await;
    world.1.answers(Answer::Session(HOUR / 2));
    for credentials in &all {
        credentials.rejected("ASIA0001");
    }
    pass(MINUTE).await;
    for credentials in &all {
        assert_eq!(key_of(credentials), "ASIA0002");
    }
    assert_eq!(world.1.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_served_while_the_source_fails_and_the_first_read_after_that_replaces_it()
 {
    for policy in
        [RefreshPolicy::default(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
    {
        let world = world();
        let two = [1, 2].map(|many| one_by(policy.clone(), many, "a", &world));
        for credentials in &two {
            assert_eq!(credentials.get().await.unwrap().access_key_id(), "ASIA0001");
        }
        world.1.answers(Answer::Fails(down()));
        for credentials in &two {
            credentials.rejected("ASIA0001");
        }
        for pause in [Duration::ZERO, 20 * MINUTE, 20 * MINUTE] {
            world.0.sleep(pause);
            pass(Duration::from_secs(1)).await;
            for credentials in &two {
                let read = credentials.get().await;
                assert_eq!(read.unwrap().access_key_id(), "ASIA0001", "{policy:?}");
                assert!(credentials.status().is_rejected);
            }
        }
        world.1.answers(Answer::Session(HOUR));
        world.0.sleep(HOUR);
        // In the background a clock is looked at that often; the others ask when they are read.
        for credentials in &two {
            let (took, read) = timed(&world.0, credentials.get()).await;
            assert_ne!(read.unwrap().access_key_id(), "ASIA0001", "{policy:?}");
            assert!(took < Duration::from_secs(2), "{policy:?}: {took:?}");
            assert!(!credentials.status().is_rejected);
        }
        assert_eq!(key_of(&two[0]), key_of(&two[1]), "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_source_is_told_to_all_who_ask_within_its_pause() {
    let world = world();
    world.1.answers(Answer::Fails(denied()));
    let all: Vec<_> = (0..10).map(|many| one_of(many, "a", &world)).collect();
    for credentials in &all {
        let error = credentials.get().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Denied);
    }
    assert_eq!(world.1.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_all_of_them_a_call_a_second_at_most() {
    let world = world();
    world.1.answers(Answer::Fails(down()));
    let all: Vec<_> = (0..50).map(|many| one_of(many, "a", &world)).collect();
    pass(5 * MINUTE).await;
    assert!(world.1.calls() <= 300, "{} calls", world.1.calls());
    world.1.answers(Answer::Session(HOUR));
    // The longest backoff, and a fetch.
    pass(Duration::from_secs(31)).await;
    for credentials in &all {
        assert!(credentials.current().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_in_the_middle_gives_its_lease_back() {
    let world = world();
    world.1.takes(Duration::from_secs(8));
    let first = one_of(1, "a", &world);
    pass(Duration::from_secs(1)).await;
    assert_eq!(world.1.calls(), 1);
    first.shutdown();
    drop(first);
    world.1.takes(TAKES);
    let second = one_of(2, "a", &world);
    let (took, read) = timed(&world.0, second.get()).await;
    read.unwrap();
    assert!(took < 2 * TAKES, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_fetch_keeps_its_lease() {
    let world = world();
    world.1.takes(Duration::from_secs(9));
    let all: Vec<_> = (0..10).map(|many| one_of(many, "a", &world)).collect();
    pass(Duration::from_secs(12)).await;
    for credentials in &all {
        assert_eq!(key_of(credentials), "ASIA0001");
    }
    assert_eq!(world.1.calls(), 1);
}

/// How a store fails.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails,
    Hangs,
}

/// What a store with trouble in these calls does.
#[derive(Debug)]
struct Troubled {
    store: Arc<dyn SessionStore>,
    trouble: Trouble,
    calls: Mutex<&'static [&'static str]>,
}

impl Troubled {
    fn new(store: Arc<dyn SessionStore>, trouble: Trouble, calls: &'static [&'static str]) -> Self {
        Self { store, trouble, calls: Mutex::new(calls) }
    }

    fn fails_at(&self, calls: &'static [&'static str]) {
        *self.calls.lock().unwrap() = calls;
    }

    fn or<'a, T: Send + 'a>(&self, call: &str, answer: StoreAnswer<'a, T>) -> StoreAnswer<'a, T> {
        match self.trouble {
            _ if !self.calls.lock().unwrap().contains(&call) => answer,
            Trouble::Fails => {
                Box::pin(async { Err(StoreError::new("the disk is full").with_hint("empty it")) })
            }
            Trouble::Hangs => Box::pin(std::future::pending()),
        }
    }
}

impl SessionStore for Troubled {
    fn name(&self) -> String {
        "troubled".to_owned()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreAnswer<'a, Option<Stored>> {
        self.or("load", self.store.load(key))
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> StoreAnswer<'a, Lease> {
        self.or("lease", self.store.lease(key, limit))
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        limit: Duration,
    ) -> StoreAnswer<'a, bool> {
        self.or("renew", self.store.renew(key, fence, limit))
    }

    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        issued: &'a Issued,
    ) -> StoreAnswer<'a, bool> {
        self.or("save", self.store.save(key, fence, issued))
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> StoreAnswer<'a, bool> {
        self.or("cool", self.store.cool(key, fence, failure, pause))
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        self.store.release(key, fence);
    }

    fn poll(&self) -> Duration {
        self.store.poll()
    }

    fn patience(&self) -> Duration {
        self.store.patience()
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_store_fails_at_there_is_a_session() {
    for trouble in [Trouble::Fails, Trouble::Hangs] {
        for calls in [&["load"][..], &["lease"], &["save"], &["renew"], &["lease", "save"]] {
            let (clock, script, store) = world();
            let patience = store.patience();
            let store: Arc<dyn SessionStore> = Arc::new(Troubled::new(store, trouble, calls));
            let world = (clock, script, store);
            let credentials = one_of(1, "a", &world);
            let (took, read) = timed(&world.0, credentials.get()).await;
            read.unwrap();
            assert!(took <= patience + 2 * TAKES, "{calls:?} {trouble:?}: {took:?}");
            // And the one after it.
            pass(HOUR).await;
            assert!(credentials.current().is_some());
        }
    }
}

/// A disk that is full can be read.
#[tokio::test(start_paused = true)]
async fn a_store_that_saves_nothing_is_told_once_until_it_saves_again() {
    let (log, _logging) = Log::collect();
    let (clock, script, store) = world();
    let store = Arc::new(Troubled::new(store, Trouble::Fails, &[]));
    let credentials = one_of(1, "a", &(clock, script.clone(), store.clone()));
    let mut calls = 0;
    for (fails, told) in
        [(&[][..], 0), (&["save"], 1), (&["save"], 1), (&["save"], 1), (&[], 1), (&["save"], 2)]
    {
        store.fails_at(fails);
        credentials.refresh_now().await.unwrap();
        assert!(script.calls() > calls, "the source was asked");
        calls = script.calls();
        let text = log.text();
        assert_eq!(text.matches("cannot share sessions").count(), told, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_replaced_without_the_store_if_that_can_not_be_used() {
    for policy in
        [RefreshPolicy::default(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
    {
        for trouble in [Trouble::Fails, Trouble::Hangs] {
            let (clock, script, store) = world();
            let store: Arc<dyn SessionStore> = Arc::new(Troubled::new(store, trouble, &["load"]));
            let credentials = one_by(policy.clone(), 1, "a", &(clock, script, store));
            credentials.get().await.unwrap();
            credentials.rejected("ASIA0001");
            let read = credentials.get().await;
            assert_eq!(read.unwrap().access_key_id(), "ASIA0002", "{policy:?} {trouble:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_sources_own_failure_is_told_also_if_the_store_can_not_take_it() {
    let (clock, script, store) = world();
    script.answers(Answer::Fails(denied()));
    let calls = &["cool"];
    let store: Arc<dyn SessionStore> = Arc::new(Troubled::new(store, Trouble::Hangs, calls));
    let credentials = one_of(1, "a", &(clock, script, store));
    assert_eq!(credentials.get().await.unwrap_err().kind(), FailureKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn on_demand_the_next_reader_takes_what_another_has_fetched() {
    let world = world();
    let [a, b] = [1, 2].map(|many| one_by(RefreshPolicy::on_demand(), many, "a", &world));
    a.get().await.unwrap();
    settle().await;
    b.get().await.unwrap();
    assert_eq!(world.1.calls(), 1);
    pass(50 * MINUTE).await;
    a.get().await.unwrap();
    pass(MINUTE).await;
    b.get().await.unwrap();
    assert_eq!(world.1.calls(), 2);
    assert_eq!(key_of(&a), key_of(&b));
}
