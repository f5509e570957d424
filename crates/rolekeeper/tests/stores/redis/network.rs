//! A network that is cut, swallows, is slow or garbles: what a proxy between hosts and Redis does.

use std::{sync::Arc, time::Duration};

use rolekeeper::stores::SessionStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

use super::{LIMIT, Made, PATIENCE, id_in, lease, now, open, save, server::Server};
use crate::file::{hour, key};

/// What a busy machine adds. Without an end, it would be for ever.
const SLACK: Duration = Duration::from_secs(1);

/// What is done with what comes from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    /// Connections end, and none is taken.
    Cut,
    /// Connections stay, and nothing comes.
    Swallowed,
    /// Everything comes, too late.
    Slow,
    /// Every byte is another.
    Garbled,
    /// Half of it comes, then the end.
    Halved,
}

struct Proxy {
    address: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        let (way, seen) = watch::channel(Way::Whole);
        let port = server.port;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, seen.clone()));
            }
        });
        Self { address, way }
    }

    fn becomes(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(client: TcpStream, port: u16, way: watch::Receiver<Way>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    // When one direction ends, so does the other: its halves are dropped.
    tokio::select! {
        () = carry(from_client, to_server, None) => {}
        () = carry(from_server, to_client, Some(way.clone())) => {}
        () = cut(way) => {}
    }
}

async fn cut(mut way: watch::Receiver<Way>) {
    // Without a sender the test is over.
    let _ = way.wait_for(|way| *way == Way::Cut).await;
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Option<watch::Receiver<Way>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut part = &mut bytes[..count];
        let way = way.as_ref().map_or(Way::Whole, |way| *way.borrow());
        match way {
            Way::Whole | Way::Cut => {}
            Way::Swallowed => continue,
            Way::Slow => sleep(2 * PATIENCE).await,
            Way::Garbled => part.iter_mut().for_each(|byte| *byte ^= 0x15),
            Way::Halved => part = &mut part[..count / 2],
        }
        if to.write_all(part).await.is_err() || way == Way::Halved {
            return;
        }
    }
}

const WAYS: [Way; 5] = [Way::Cut, Way::Swallowed, Way::Slow, Way::Garbled, Way::Halved];

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_network_that_fails_is_told_in_time_and_used_again_when_it_is_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = open(&proxy.address);
    for way in WAYS {
        save(&store, &key("a"), "A").await;
        proxy.becomes(way);
        let begun = now();
        let found = store.load(&key("a")).await;
        let took = now().since(begun);
        assert!(took < PATIENCE + SLACK, "{way:?}: {took:?}");
        // Garbled, it may still be an answer: that there is nothing that can be read.
        assert!(!matches!(found, Ok(Some(_))), "{way:?}: {found:?}");
        let fence = store.lease(&key("b"), LIMIT).await;
        assert!(fence.is_err(), "{way:?}: {fence:?}");
        proxy.becomes(Way::Whole);
        assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"), "after {way:?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn whoever_has_no_session_gets_one_through_any_network_and_shares_it_later() {
    for way in WAYS {
        let server = Server::start(&[]);
        let proxy = Proxy::before(&server).await;
        proxy.becomes(way);
        let made = Made::in_time(Duration::from_millis(20));
        let begun = now();
        let alone = made.through(open(&proxy.address));
        let session = alone.get().await.unwrap();
        let took = now().since(begun);
        assert_eq!(session.access_key_id(), "MADE0");
        assert!(took < PATIENCE + made.takes + SLACK, "{way:?}: {took:?}");

        proxy.becomes(Way::Whole);
        let [one, two] = [(); 2].map(|()| made.through(open(&proxy.address)));
        let (one, two) = (one.get().await.unwrap(), two.get().await.unwrap());
        assert_eq!(one.access_key_id(), two.access_key_id(), "after {way:?}");
        assert_eq!(made.calls(), 2, "after {way:?}");
    }
}

/// It is saved on the other side of a network that is cut before the answer comes.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_save_whose_answer_is_lost_is_found_by_the_others() {
    let server = Server::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = Arc::new(open(&proxy.address));
    let fence = lease(&store, &key("a")).await;
    proxy.becomes(Way::Swallowed);
    store.save(&key("a"), fence, &hour("A")).await.unwrap_err();
    assert_eq!(id_in(&open(&server.address()), &key("a")).await.as_deref(), Some("A"));
}
