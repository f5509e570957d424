//! Replicas, and who is the primary when that has died.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use rolekeeper::stores::SessionStore;
use tokio::time::sleep;

use super::{
    LIMIT, Made, has_another_than, id_in, lease, now, open, save,
    server::{Server, until},
    warnings::Warnings,
};
use crate::file::key;

/// Agreeing on another primary takes the sentinels some 2 s here.
const FAIL_OVER: Duration = Duration::from_secs(15);

fn replica_of(primary: &Server) -> Server {
    let port = primary.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
    until("the replica has its data", || {
        replica.say(&["INFO", "replication"]).contains("master_link_status:up")
    });
    replica
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_replica_is_told_as_such_and_the_sentinels_lead_to_the_next_primary() {
    let mut primary = Server::start(&["--repl-diskless-load", "swapdb"]);
    let replica = replica_of(&primary);
    let wrong = open(&replica.address());
    let error = wrong.lease(&key("a"), LIMIT).await.unwrap_err();
    assert!(error.message.contains("is a replica"), "{error}");
    assert!(error.hint.unwrap().contains("redis+sentinel://"));

    let watched = format!(
        "sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 3000\n",
        primary.port
    );
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Server::sentinel(&watched));
    }
    until("the sentinels know each other and the replica", || {
        sentinels.iter().all(|sentinel| {
            let state = sentinel.say(&["SENTINEL", "MASTER", "main"]);
            let value = |name: &str| {
                let mut lines = state.lines();
                lines.find(|line| *line == name).and_then(|_| lines.next()).map(str::to_owned)
            };
            value("num-other-sentinels").as_deref() == Some("2")
                && value("num-slaves").as_deref() == Some("1")
        })
    });
    let hosts: Vec<_> =
        sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
    let hosts = hosts.join(",");

    let error = open(&format!("redis+sentinel://{hosts}/other")).load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("know no `other`"), "{error}");

    let store = open(&format!("redis+sentinel://{hosts}/main"));
    save(&store, &key("a"), "A").await;
    let fence = lease(&store, &key("b")).await;
    until("the replica has it", || replica.say(&["DBSIZE"]) == primary.say(&["DBSIZE"]));
    // One that stands still keeps nobody waiting.
    sentinels[0].stop();
    let new = open(&format!("redis+sentinel://{hosts}/main"));
    assert_eq!(id_in(&new, &key("a")).await.as_deref(), Some("A"));
    sentinels[0].go_on();

    primary.kill();
    let warnings = Warnings::collect();
    let made = Made::in_time(Duration::ZERO);
    assert!(store.load(&key("a")).await.is_err(), "nobody is the primary yet");
    let alone = made.through(store.clone());
    assert_eq!(alone.get().await.unwrap().access_key_id(), "MADE0");
    assert_eq!(warnings.lines().len(), 1, "{:#?}", warnings.lines());

    let begun = now();
    loop {
        match store.renew(&key("b"), fence, LIMIT).await {
            Ok(goes_on) => {
                assert!(goes_on, "the lease that was granted before is known");
                break;
            }
            Err(error) => assert!(now().since(begun) < FAIL_OVER, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(replica.say(&["ROLE"]).lines().next(), Some("master"));
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    save(&store, &key("c"), "C").await;
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_primary_that_becomes_a_replica_is_looked_for_anew() {
    let (server, next) = (Server::start(&[]), Server::start(&[]));
    let store = open(&server.address());
    save(&store, &key("a"), "A").await;
    let before = server.clients();
    server.say(&["REPLICAOF", "127.0.0.1", &next.port.to_string()]);
    store.lease(&key("a"), LIMIT).await.unwrap_err();
    server.say(&["REPLICAOF", "NO", "ONE"]);
    save(&store, &key("a"), "B").await;
    has_another_than(&server, &before).await;
}

/// Names this primary to everybody.
fn sentinel_that_names(primary: &Server) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    // Free ports have five digits.
    let port = format!("{:05}", primary.port);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let asked = String::from_utf8_lossy(&bytes[..count]).into_owned();
                let mut answer = "+OK\r\n".repeat(asked.matches("SETINFO").count());
                if asked.contains("GET-MASTER") {
                    answer += "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n";
                    answer += &port;
                    answer += "\r\n";
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    own
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_sentinel_that_names_a_replica_is_not_believed() {
    let primary = Server::start(&[]);
    let replica = replica_of(&primary);
    let (wrong, right) = (sentinel_that_names(&replica), sentinel_that_names(&primary));
    let error = open(&format!("redis+sentinel://127.0.0.1:{wrong}/main"));
    let error = error.load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("is no primary"), "{error}");
    let store = open(&format!("redis+sentinel://127.0.0.1:{wrong},127.0.0.1:{right}/main"));
    save(&store, &key("a"), "A").await;
}
