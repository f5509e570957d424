//! The Redis store, against real servers that the tests start and kill.

mod cluster;
mod fleet;
mod full;
mod gone;
mod model;
mod network;
mod password;
mod records;
mod sentinel;
mod server;
mod tls;
mod warnings;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Clock, RefreshableCredentials, Source,
    sources::{Fetch, KeyOf},
    stores::{RedisStore, Sealer, SessionStore, StoreKey},
};
use rolekeeper_core::{Elapsed, Fence, Lease};
use server::Server;
use tokio::time::{sleep, timeout};

use crate::file::{hour, key, secret};

const LIMIT: Duration = Duration::from_secs(3);

/// How long a call may keep anybody waiting.
const PATIENCE: Duration = Duration::from_millis(1000);

fn now() -> Elapsed {
    Clock::System.now().elapsed
}

fn open(address: &str) -> RedisStore {
    RedisStore::open(address, Sealer::new(&secret(1))).unwrap()
}

#[track_caller]
fn granted(lease: Lease) -> Fence {
    match lease {
        Lease::Granted(fence) => fence,
        other => panic!("{other:?}"),
    }
}

async fn lease(store: &RedisStore, key: &StoreKey) -> Fence {
    granted(store.lease(key, LIMIT).await.unwrap())
}

async fn save(store: &RedisStore, key: &StoreKey, id: &str) {
    let fence = lease(store, key).await;
    assert!(store.save(key, fence, &hour(id)).await.unwrap());
}

/// Waits until the store tells of a change, and not for ever.
async fn told(store: &RedisStore, key: &StoreKey) {
    timeout(LIMIT, store.changed(key)).await.expect("a change is told of");
}

/// That the server has one client, and it is not this one, as soon as all is said between them.
async fn has_another_than(server: &Server, before: &[String]) {
    let mut clients = server.clients();
    for _ in 0..300 {
        if clients.len() == 1 && !before.contains(&clients[0]) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
        clients = server.clients();
    }
    panic!("{before:?} {clients:?}");
}

async fn id_in(store: &RedisStore, key: &StoreKey) -> Option<String> {
    let stored = store.load(key).await.unwrap();
    stored.map(|stored| stored.issued.credentials.access_key_id)
}

/// Makes sessions of an hour, and counts them.
#[derive(Clone, Debug)]
struct Made {
    takes: Duration,
    calls: Arc<AtomicUsize>,
}

impl Made {
    fn in_time(takes: Duration) -> Self {
        Self { takes, calls: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Of the key `key("a")`.
    fn through(&self, store: impl SessionStore) -> RefreshableCredentials {
        RefreshableCredentials::builder(self.clone()).store(Arc::new(store)).build()
    }
}

impl Source for Made {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            sleep(self.takes).await;
            Ok(hour(&format!("MADE{number}")))
        })
    }

    fn name(&self) -> String {
        "made".to_owned()
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(Some(key("a")))))
    }
}
