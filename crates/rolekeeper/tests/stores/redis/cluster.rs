//! A cluster, whose nodes have a part of the sessions each.

use std::process::Command;

use rolekeeper::{Failure, stores::SessionStore};
use rolekeeper_core::Lease;
use tokio::time::timeout;

use super::{
    LIMIT, id_in, lease, open, save,
    server::{Server, free_port, until},
    told,
};
use crate::file::key;

fn node() -> Server {
    let bus = free_port().to_string();
    Server::start(&["--cluster-enabled", "yes", "--cluster-port", &bus])
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn all_verbs_find_the_node_that_has_the_session() {
    let nodes = [node(), node(), node()];
    let hosts = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port));
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&hosts)
        .arg("--cluster-yes")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    until("the nodes agree", || {
        nodes.iter().all(|node| node.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    });

    // Of those that are named, one is enough.
    let store = open(&format!("redis+cluster://{},127.0.0.1:1", hosts[0]));
    let other = open(&format!("redis+cluster://{}", hosts.join(",")));
    for number in 0..30 {
        let (id, key) = (format!("A{number}"), key(&format!("{number}")));
        save(&store, &key, &id).await;
        assert_eq!(id_in(&other, &key).await, Some(id));
        let fence = lease(&store, &key).await;
        assert!(store.renew(&key, fence, LIMIT).await.unwrap());
        assert!(matches!(other.lease(&key, LIMIT).await.unwrap(), Lease::Taken { left: Some(_) }));
        assert!(store.cool(&key, fence, &Failure::denied("no"), LIMIT).await.unwrap());
        assert!(matches!(other.lease(&key, LIMIT).await.unwrap(), Lease::Cooling { .. }));
    }
    for node in &nodes {
        assert_ne!(node.say(&["DBSIZE"]), "0", "each has a part");
    }

    // Whoever waits is told, on whichever node the session is.
    for number in 100..110 {
        let key = key(&format!("{number}"));
        let fence = lease(&store, &key).await;
        told(&other, &key).await;
        let both = async {
            let hears = other.changed(&key);
            let saves = async { store.save(&key, fence, &crate::file::hour("A")).await.unwrap() };
            tokio::join!(hears, saves).1
        };
        assert!(timeout(LIMIT, both).await.unwrap());
    }

    let wrong = open(&format!("redis://{}", hosts[0]));
    let mut errors = Vec::new();
    for number in 0..30 {
        errors.extend(wrong.load(&key(&format!("{number}"))).await.err());
    }
    assert!(!errors.is_empty(), "some are on other nodes");
    for error in errors {
        assert!(error.message.contains("is one node of a cluster"), "{error}");
        assert!(error.hint.unwrap().contains("redis+cluster://"));
    }
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_session_that_moves_to_another_node_is_found_there() {
    let nodes = [node(), node()];
    let [first, second] = nodes.each_ref();
    first.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    first.say(&["CLUSTER", "MEET", "127.0.0.1", &second.port.to_string(), &bus(second)]);
    until("the nodes agree", || {
        nodes.iter().all(|node| node.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    });
    let store = open(&format!("redis+cluster://127.0.0.1:{}", first.port));
    save(&store, &key("a"), "A").await;

    let session = first.key("session");
    let slot = first.say(&["CLUSTER", "KEYSLOT", &session]);
    let [from, to] = nodes.each_ref().map(|node| node.say(&["CLUSTER", "MYID"]));
    second.say(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]);
    first.say(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]);
    let port = second.port.to_string();
    for end in ["session", "fence"] {
        let name = session.replace("session", end);
        first.say(&["MIGRATE", "127.0.0.1", &port, &name, "0", "1000"]);
    }
    for node in [second, first] {
        node.say(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]);
    }
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    save(&store, &key("a"), "B").await;
}

fn bus(node: &Server) -> String {
    let nodes = node.say(&["CLUSTER", "NODES"]);
    let bus = nodes.split_once('@').unwrap().1;
    bus.chars().take_while(char::is_ascii_digit).collect()
}
