//! Many who share one session.

use std::{pin::Pin, time::Duration};

use rolekeeper::{
    Failure, Issued,
    stores::{Answer, RedisStore, SessionStore, StoreKey, Stored},
};
use rolekeeper_core::{Fence, Lease};
use tokio::time::sleep;

use super::{Made, granted, lease, now, open, server::Server, told};
use crate::file::{hour, key};

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn of_fifty_who_begin_at_once_one_asks_the_source() {
    let server = Server::start(&[]);
    let made = Made::in_time(Duration::from_millis(300));
    let all: Vec<_> = (0..50).map(|_| made.through(open(&server.address()))).collect();
    for credentials in &all {
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "MADE0");
    }
    assert_eq!(made.calls(), 1);
    assert_eq!(server.clients().len(), 50, "each has one connection, which it also hears by");
}

/// Who waits for it looks only when it is told to, or when the lease ends.
#[derive(Debug)]
struct Listening(RedisStore);

impl SessionStore for Listening {
    fn name(&self) -> String {
        self.0.name()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        self.0.load(key)
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        self.0.lease(key, limit)
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        self.0.renew(key, fence, limit)
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        self.0.save(key, fence, issued)
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        self.0.cool(key, fence, failure, pause)
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        self.0.release(key, fence);
    }

    fn changed<'a>(&'a self, key: &'a StoreKey) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.0.changed(key)
    }

    fn poll(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn patience(&self) -> Duration {
        self.0.patience()
    }
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn who_waits_has_the_session_as_soon_as_it_is_saved() {
    let server = Server::start(&[]);
    let holder = open(&server.address());
    assert_eq!(holder.poll(), Duration::from_millis(300));
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        server.say(&["FLUSHALL"]);
        let fence = lease(&holder, &key("a")).await;
        let made = Made::in_time(Duration::ZERO);
        let waiting = made.through(Listening(open(&server.address())));
        let read = tokio::spawn(async move { waiting.get().await.map(|_| now()) });
        sleep(Duration::from_millis(100)).await;
        assert!(holder.save(&key("a"), fence, &hour("A")).await.unwrap());
        let saved = now();
        let took = read.await.unwrap().unwrap().since(saved);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(made.calls(), 0);
        fastest = fastest.min(took);
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn the_lease_of_who_has_died_ends_and_that_of_who_renews_does_not() {
    const SHORT: Duration = Duration::from_secs(1);
    let server = Server::start(&[]);
    let (dead, next) = (open(&server.address()), open(&server.address()));
    let fence = granted(dead.lease(&key("a"), SHORT).await.unwrap());
    for _ in 0..3 {
        sleep(SHORT / 2).await;
        assert!(dead.renew(&key("a"), fence, SHORT).await.unwrap());
        let lease = next.lease(&key("a"), SHORT).await.unwrap();
        let Lease::Taken { left: Some(left) } = lease else { panic!("{lease:?}") };
        assert!(left <= SHORT, "{left:?}");
    }
    drop(dead);
    sleep(SHORT + Duration::from_millis(100)).await;
    let later = granted(next.lease(&key("a"), SHORT).await.unwrap());
    assert!(later > fence);

    // It was not dead, only asleep.
    let late = open(&server.address());
    assert!(!late.save(&key("a"), fence, &hour("late")).await.unwrap());
    assert!(!late.renew(&key("a"), fence, SHORT).await.unwrap());
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn whoever_lets_go_lets_the_next_one_in_at_once() {
    let server = Server::start(&[]);
    let (one, two) = (open(&server.address()), open(&server.address()));
    let fence = lease(&one, &key("a")).await;
    told(&two, &key("a")).await;
    one.release(&key("a"), fence);
    told(&two, &key("a")).await;
    lease(&two, &key("a")).await;
}
