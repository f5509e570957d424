//! A server that takes nothing.

use std::time::Duration;

use rolekeeper::stores::SessionStore;

use super::{LIMIT, Made, id_in, lease, open, save, server::Server, warnings::Warnings};
use crate::file::{hour, key};

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_server_that_is_full_says_so_and_its_sessions_are_still_served() {
    let warnings = Warnings::collect();
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let store = open(&server.address());
    save(&store, &key("b"), "B").await;
    let fence = lease(&store, &key("c")).await;
    server.say(&["CONFIG", "SET", "maxmemory", "1"]);

    let error = store.lease(&key("a"), LIMIT).await.unwrap_err();
    assert!(error.message.contains("is full"), "{error}");
    assert!(error.hint.unwrap().contains("maxmemory"));
    assert!(store.save(&key("c"), fence, &hour("C")).await.is_err());
    assert_eq!(id_in(&store, &key("b")).await.as_deref(), Some("B"), "what is there is read");

    let made = Made::in_time(Duration::ZERO);
    let credentials = made.through(store.clone());
    assert_eq!(credentials.get().await.unwrap().access_key_id(), "MADE0");
    assert_eq!(warnings.lines().len(), 1, "{:#?}", warnings.lines());

    server.say(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(store.save(&key("c"), fence, &hour("C")).await.unwrap(), "the lease goes on");
}
