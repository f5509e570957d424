//! A server that dies, stands still, or comes back with nothing.

use std::time::Duration;

use rolekeeper::{
    Clock, RefreshableCredentials, Source,
    clock::Simulated,
    sources::{Fetch, KeyOf},
    stores::{RedisStore, Sealer, SessionStore, StoreKey},
};
use tokio::time::{sleep, timeout};

use super::{
    LIMIT, Made, PATIENCE, has_another_than, id_in, lease, now, open, save, server::Server, told,
    warnings::Warnings,
};
use crate::file::{hour, key, secret};

/// What a busy machine adds. Without an end, it would be for ever.
const SLACK: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_server_that_was_killed_and_begins_with_nothing_is_used_again_at_once() {
    let mut server = Server::start(&[]);
    let store = open(&server.address());
    let fence = lease(&store, &key("a")).await;
    server.kill();
    let error = store.renew(&key("a"), fence, LIMIT).await.unwrap_err();
    assert!(error.message.contains(&server.address()), "{error}");
    assert!(error.hint.unwrap().contains("check that it runs"));
    server.begin_anew();
    assert!(
        !store.save(&key("a"), fence, &hour("A")).await.unwrap(),
        "of that lease it has nothing"
    );
    let next = lease(&store, &key("a")).await;
    assert!(next > fence, "fences rise all the same");
    assert!(store.save(&key("a"), next, &hour("B")).await.unwrap());
    assert!(!store.save(&key("a"), fence, &hour("late")).await.unwrap());
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("B"));
}

/// Kills the server in the middle of its fetch.
#[derive(Debug)]
struct Killer(Made, u32);

impl Source for Killer {
    fn fetch(&self) -> Fetch<'_> {
        let pid = rustix::process::Pid::from_raw(self.1.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        self.0.fetch()
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn store_key(&self) -> KeyOf<'_> {
        self.0.store_key()
    }
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn whose_server_is_killed_in_the_middle_of_an_errand_has_the_session_all_the_same() {
    let warnings = Warnings::collect();
    let mut server = Server::start(&[]);
    let made = Made::in_time(Duration::from_millis(50));
    let store = std::sync::Arc::new(open(&server.address()));
    let killer = Killer(made.clone(), server.pid());
    let credentials = RefreshableCredentials::builder(killer).store(store).build();
    assert_eq!(credentials.get().await.unwrap().access_key_id(), "MADE0");
    assert_eq!(warnings.lines().len(), 1, "{:#?}", warnings.lines());

    server.kill();
    server.begin_anew();
    let (one, two) = (made.through(open(&server.address())), made.through(open(&server.address())));
    assert_eq!(one.get().await.unwrap().access_key_id(), "MADE1");
    assert_eq!(two.get().await.unwrap().access_key_id(), "MADE1");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_server_that_stands_still_is_given_up_in_time_and_used_again_when_it_goes_on() {
    let warnings = Warnings::collect();
    let server = Server::start(&[]);
    let (known, new) = (open(&server.address()), open(&server.address()));
    let fence = lease(&known, &key("b")).await;
    server.stop();
    for store in [&known, &new] {
        let begun = now();
        let error = store.renew(&key("b"), fence, LIMIT).await.unwrap_err();
        assert!(error.message.contains("no answer from"), "{error}");
        let took = now().since(begun);
        assert!(took < PATIENCE + SLACK, "{took:?}");
    }
    let made = Made::in_time(Duration::from_millis(50));
    let begun = now();
    let credentials = made.through(known.clone());
    assert_eq!(credentials.get().await.unwrap().access_key_id(), "MADE0");
    let took = now().since(begun);
    assert!(took < PATIENCE + made.takes + SLACK, "{took:?}");
    let lines = warnings.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("going on alone") && lines[0].contains("127.0.0.1"), "{lines:#?}");

    server.go_on();
    // What was asked of it while it stood still may have been done since, but nothing is left over.
    save(&known, &key("c"), "C").await;
    assert_eq!(id_in(&new, &key("c")).await.as_deref(), Some("C"));
}

/// The host of a server may go without a word.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_connection_that_gave_no_answer_is_not_used_again() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    save(&store, &key("a"), "A").await;
    let before = server.clients();
    assert_eq!(before.len(), 1, "{before:?}");
    server.stop();
    store.load(&key("a")).await.unwrap_err();
    server.go_on();
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    has_another_than(&server, &before).await;
}

/// Whatever stands in between may have forgotten it by then, and says so to nobody.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_connection_that_was_idle_for_long_is_not_used_again() {
    let server = Server::start(&[]);
    let clock = Simulated::new();
    let sealer = Sealer::new(&secret(1));
    let store =
        RedisStore::with(&server.address(), sealer, Clock::Simulated(clock.clone())).unwrap();
    save(&store, &key("a"), "A").await;
    let first = server.clients();
    for _ in 0..10 {
        clock.sleep(Duration::from_secs(25));
        assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    }
    assert_eq!(server.clients(), first, "it is in use");
    clock.sleep(Duration::from_secs(31));
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    has_another_than(&server, &first).await;
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn who_waits_hears_that_the_server_has_gone() {
    let mut server = Server::start(&[]);
    let store = open(&server.address());
    // The first wait ends when it hears: something may have been said before.
    told(&store, &key("a")).await;
    assert!(timeout(Duration::from_millis(50), store.changed(&key("a"))).await.is_err());
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changed(&key("a")).await }
    });
    sleep(Duration::from_millis(50)).await;
    server.kill();
    timeout(LIMIT, waiting).await.unwrap().unwrap();
    // Where nothing can be heard it is no reason to look again and again.
    assert!(timeout(Duration::from_millis(50), store.changed(&key("a"))).await.is_err());
}

#[test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
fn each_runtime_has_a_connection_of_its_own() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key: StoreKey = key("a");
    let first = runtime();
    first.block_on(save(&store, &key, "A"));
    // The first one stands still meanwhile.
    let second = runtime();
    assert_eq!(second.block_on(id_in(&store, &key)).as_deref(), Some("A"));
    drop(first);
    assert_eq!(runtime().block_on(id_in(&store, &key)).as_deref(), Some("A"));
    assert_eq!(second.block_on(id_in(&store, &key)).as_deref(), Some("A"));
    // Without any runtime there is nothing to do it in.
    store.release(&key, rolekeeper_core::Fence(1));
}
