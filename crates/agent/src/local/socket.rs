//! Serves the Unix socket: who connects, and who is not even read from.

use std::{io, path::Path, sync::Arc};

use super::{
    Local,
    sockets::{self, Bound, Listener, UnixListener},
};
use crate::{
    connections::{self, AcceptTrouble, Connection, World},
    refusal::Refusal,
    rule,
};

/// A bound Unix socket; whoever lets the last one go takes its file away.
#[derive(Clone)]
pub(crate) struct Socket(Arc<Bound>);

impl Socket {
    /// A new one there; its folder is made if it is missing.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        Bound::bind(path).map(Arc::new).map(Self)
    }

    /// One that somebody else has bound, such as systemd.
    pub(crate) fn inherited(listener: UnixListener) -> io::Result<Self> {
        Bound::inherited(listener).map(Arc::new).map(Self)
    }

    /// Accepts and serves for as long as it is polled.
    pub(crate) fn serve(
        &self,
        world: Arc<World>,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        Ok(accept(self.0.listen()?, world))
    }
}

async fn accept(listener: Listener, world: Arc<World>) {
    let us = rule::this_uid();
    let mut trouble = AcceptTrouble::default();
    loop {
        let slot = connections::slot(&world).await;
        let (stream, peer) = match sockets::accept(&listener).await {
            Ok(accepted) => accepted,
            Err(error) => {
                trouble.pause(&error).await;
                continue;
            }
        };
        trouble.is_over();
        let is_admitted = peer.uid.is_some_and(|uid| [us, 0].contains(&uid));
        let connection = Connection::unix(peer);
        if !is_admitted {
            world.note_refusal(Refusal::Peer, &connection);
            continue;
        }
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _slot = slot;
            connections::serve(stream, &connection, &Local, &world).await;
        });
    }
}
