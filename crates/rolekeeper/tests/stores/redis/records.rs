//! What is kept in Redis, for how long, and what is taken for none.

use std::time::Duration;

use rolekeeper::{
    Clock, Failure, Moment,
    stores::{RedisStore, Sealer, SessionStore},
};
use rolekeeper_core::Fence;

use super::{LIMIT, id_in, lease, open, save, server::Server, warnings::Warnings};
use crate::file::{hour, key, secret};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn what_is_saved_comes_back_whole_with_its_age_by_the_servers_clock_and_ends_with_it() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    let issued = hour("A");
    let fence = lease(&store, &key("a")).await;
    assert!(store.save(&key("a"), fence, &issued).await.unwrap());
    let stored = store.load(&key("a")).await.unwrap().unwrap();
    assert_eq!(stored.issued, issued);
    assert!(stored.age < MINUTE, "{:?}", stored.age);

    // 90 s pass for the server.
    server.say(&["HINCRBY", &server.key("session"), "issued", "-90000"]);
    let age = store.load(&key("a")).await.unwrap().unwrap().age;
    assert!((90..120).contains(&age.as_secs()), "{age:?}");
    let left: u64 = server.say(&["TTL", &server.key("session")]).parse().unwrap();
    assert!((3600..=3661).contains(&left), "{left}");
    assert!(store.load(&key("b")).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_session_that_came_a_while_ago_is_that_old_for_the_others() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    let mut issued = hour("A").with_arrived(Clock::System.now().before(10 * MINUTE));
    issued.issued_at = None;
    let fence = lease(&store, &key("a")).await;
    store.save(&key("a"), fence, &issued).await.unwrap();
    let age = store.load(&key("a")).await.unwrap().unwrap().age;
    assert!(age >= 10 * MINUTE && age < 11 * MINUTE, "{age:?}");
    let left: u64 = server.say(&["TTL", &server.key("session")]).parse().unwrap();
    assert!((3600..=3661).contains(&left), "an hour from now, and a minute: {left}");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_machine_that_was_paused_before_its_save_counts_that() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    let now = Clock::System.now();
    // Its elapsed clock stood still, its wall clock was set right.
    let issued = hour("A").with_arrived(Moment { wall: now.wall.before(10 * MINUTE), ..now });
    let fence = lease(&store, &key("a")).await;
    store.save(&key("a"), fence, &issued).await.unwrap();
    let age = store.load(&key("a")).await.unwrap().unwrap().age;
    assert!(age >= 10 * MINUTE && age < 11 * MINUTE, "{age:?}");
}

/// A machine may sleep after it has said how old a session is, and before that is sent.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_session_whose_save_was_long_on_its_way_is_as_old_as_its_lease() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    lease(&store, &key("a")).await;
    // Granted in the year 1970; it has ended, and nobody has had one since.
    server.say(&["SET", &server.key("fence"), "1000"]);
    server.say(&["DEL", &server.key("lease")]);
    let issued = hour("A").with_arrived(Clock::System.now());
    assert!(store.save(&key("a"), Fence(1000), &issued).await.unwrap());
    let age = store.load(&key("a")).await.unwrap().unwrap().age;
    assert!(age > 24 * 60 * MINUTE, "{age:?}");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_stolen_copy_tells_nothing() {
    let server = Server::start(&["--rdbcompression", "no"]);
    let store = open(&server.address());
    save(&store, &key("a"), "ASIAID").await;
    let fence = lease(&store, &key("b")).await;
    let failure = Failure::denied("not authorized to assume arn:aws:iam::1:role/x");
    store.cool(&key("b"), fence, &failure.with_code("AccessDenied"), LIMIT).await.unwrap();
    lease(&store, &key("c")).await;
    server.say(&["SAVE"]);
    let copy = std::fs::read(server.file("dump.rdb")).unwrap();
    let copy = String::from_utf8_lossy(&copy);
    assert!(copy.contains("rolekeeper seal1"), "the records are in it");
    assert_eq!(copy.matches(":fence").count(), 3, "so are the fences");
    for told in ["wJalr", "ASIAID", "123456789012", "arn:", "etl", "AccessDenied", "authorized"] {
        assert!(!copy.contains(told), "{told}");
    }
    assert_eq!(format!("{store:?}"), format!("RedisStore({})", server.address()));
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn what_is_no_record_is_none_is_told_once_and_replaced() {
    let warnings = Warnings::collect();
    let server = Server::start(&[]);
    let store = open(&server.address());
    save(&store, &key("b"), "B").await;
    let elsewhere = server.key("session");
    save(&store, &key("a"), "A").await;
    let keys = server.say(&["KEYS", "*:session"]);
    let place = keys.lines().find(|key| **key != elsewhere).unwrap();
    let copy = format!(
        "redis.call('HSET', KEYS[1], 'record', redis.call('HGET', '{elsewhere}', 'record'))"
    );
    let change = "local r = redis.call('HGET', KEYS[1], 'record') \
                  redis.call('HSET', KEYS[1], 'record', r:sub(1, -2) .. 'x')";
    let harms: &[(&str, &[&str])] = &[
        ("no record", &["HSET", place, "record", "x"]),
        ("no record of this store", &["HSET", place, "record", "rolekeeper seal9 and so on"]),
        ("moved from another's place", &["EVAL", &copy, "1", place]),
        ("changed", &["EVAL", change, "1", place]),
        ("without a time", &["HDEL", place, "issued"]),
        ("with a time that is none", &["HSET", place, "issued", "x"]),
        ("huge", &["EVAL", "redis.call('HSET', KEYS[1], 'record', ('x'):rep(70000))", "1", place]),
    ];
    for (what, harm) in harms {
        server.say(harm);
        for _ in 0..3 {
            assert_eq!(id_in(&store, &key("a")).await, None, "{what}");
        }
        save(&store, &key("a"), "A2").await;
        assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A2"), "{what}");
    }
    let lines = warnings.lines();
    assert_eq!(lines.len(), 3, "one for each reason: {lines:#?}");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn what_is_not_ours_under_our_names_is_an_error_and_a_lease_without_an_end_is_none() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    save(&store, &key("a"), "A").await;
    let session = server.key("session");
    server.say(&["SET", &session.replace(":session", ":lease"), "x"]);
    server.say(&["SET", &session.replace(":session", ":fence"), "x"]);
    lease(&store, &key("a")).await;
    server.say(&["DEL", &session]);
    server.say(&["SET", &session, "x"]);
    let error = store.load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("something else"), "{error}");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_key_is_replaced_while_both_are_in_use() {
    let server = Server::start(&[]);
    let with = |sealer| RedisStore::open(&server.address(), sealer).unwrap();
    let (old, new) = (open(&server.address()), with(Sealer::new(&secret(2))));
    let both = with(Sealer::new(&secret(2)).also_opens_with(&secret(1)));
    save(&old, &key("a"), "A").await;
    assert_eq!(id_in(&new, &key("a")).await, None);
    assert_eq!(id_in(&both, &key("a")).await.as_deref(), Some("A"));
    save(&both, &key("a"), "B").await;
    assert_eq!(id_in(&new, &key("a")).await.as_deref(), Some("B"));
    // A failure that can't be read is no reason to wait.
    let fence = lease(&new, &key("a")).await;
    new.cool(&key("a"), fence, &Failure::denied("no"), LIMIT).await.unwrap();
    let error = old.lease(&key("a"), LIMIT).await.unwrap_err();
    assert!(error.message.contains("sealed with another key"), "{error}");
    assert!(error.hint.unwrap().contains("same key"));
}
