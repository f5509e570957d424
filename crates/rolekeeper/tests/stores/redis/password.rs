//! Who may use a Redis.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
};

use rolekeeper::{Failure, stores::SessionStore};

use super::{
    LIMIT, id_in, lease, open, save,
    server::{Server, free_port, until},
    told,
};
use crate::file::key;

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn who_may_not_is_told_what_to_do_and_no_password() {
    let server = Server::start(&["--requirepass", "geheim"]);
    for (who, why) in [
        ("", "wants a user and a password"),
        (":falsch@", "refuses this user and password"),
        ("me:falsch@", "refuses this user and password"),
    ] {
        let store = open(&format!("redis://{who}127.0.0.1:{}", server.port));
        let error = store.load(&key("a")).await.unwrap_err();
        assert!(error.message.contains(why), "{error}");
        assert!(error.message.contains(&server.address()), "{error}");
        assert!(error.hint.as_ref().unwrap().contains("redis://USER:PASSWORD@HOST"));
        assert!(!format!("{error:?} {store:?} {}", store.name()).contains("falsch"), "{error:?}");
    }
    let store = open(&format!("redis://:geheim@127.0.0.1:{}/3", server.port));
    save(&store, &key("a"), "A").await;
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    assert!(!format!("{store:?} {}", store.name()).contains("geheim"));
    let other = open(&format!("redis://:geheim@127.0.0.1:{}/4", server.port));
    assert_eq!(id_in(&other, &key("a")).await, None, "another database");
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn so_is_who_may_not_use_a_cluster() {
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let server = Server::start(&cluster);
    server.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until("the node has agreed", || server.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    server.say(&["CONFIG", "SET", "requirepass", "geheim"]);
    let as_who = |who: &str| open(&format!("redis+cluster://{who}127.0.0.1:{}", server.port));
    for (who, why) in [("", "wants a user"), (":falsch@", "refuses this user")] {
        let error = as_who(who).load(&key("a")).await.unwrap_err();
        assert!(error.message.contains(why), "{error}");
        assert!(!format!("{error:?}").contains("falsch"), "{error:?}");
    }
    save(&as_who(":geheim@"), &key("a"), "A").await;
}

/// What the hint says is enough, and no more than what is needed.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_user_needs_only_what_the_hint_says() {
    let server = Server::start(&[]);
    server.say(&["ACL", "SETUSER", "low", "on", ">geheim"]);
    let store = open(&format!("redis://low:geheim@127.0.0.1:{}", server.port));
    let error = store.load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("doesn't let this user"), "{error}");
    let hint = error.hint.unwrap();
    let rules = hint.split_once("SETUSER NAME ").unwrap().1;
    let mut words = vec!["ACL", "SETUSER", "low"];
    words.extend(rules.split_whitespace());
    server.say(&words);
    save(&store, &key("a"), "A").await;
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    let fence = lease(&store, &key("a")).await;
    assert!(store.renew(&key("a"), fence, LIMIT).await.unwrap());
    assert!(store.cool(&key("a"), fence, &Failure::denied("no"), LIMIT).await.unwrap());
    told(&store, &key("a")).await;

    // Without the channels it saves all the same.
    server.say(&["ACL", "SETUSER", "low", "resetchannels"]);
    until("whoever listens is put out", || server.clients().is_empty());
    // So does the store hear of it.
    told(&store, &key("a")).await;
    save(&store, &key("b"), "B").await;
    assert_eq!(id_in(&store, &key("b")).await.as_deref(), Some("B"));
    assert_eq!(server.say(&["KEYS", "*:lease"]), "", "nothing was left half done");
}

/// Such as Redis 5, which repeats what it doesn't understand.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_server_that_is_too_old_is_told_as_such_and_without_the_password_that_it_repeats() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let line = "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, \
                        `geheim`\r\n";
            let _ = stream.write_all(line.repeat(4).as_bytes());
        }
    });
    let store = open(&format!("redis://me:geheim@127.0.0.1:{port}"));
    let error = store.load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("too old"), "{error}");
    assert!(error.hint.as_ref().unwrap().contains("Redis 6"));
    assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
}
