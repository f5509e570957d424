//! The Unix socket that other `rolekeeper` commands of the same user ask.

use std::{io, path::Path, sync::Arc};

use hyper::{Request, body::Incoming};

use crate::{
    connections::{Connection, Face, World},
    refusal::Refusal,
    reply::Answer,
};

/// Answers them.
pub(crate) struct Local;

/// A bound Unix socket.
pub(crate) struct Socket(std::os::unix::net::UnixListener);

impl Face for Local {
    async fn answer(&self, world: &World, connection: &Connection, _: Request<Incoming>) -> Answer {
        world.refuse(Refusal::Path, connection)
    }
}

impl Socket {
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    pub(crate) fn serve(
        &self,
        face: Arc<Local>,
        world: Arc<World>,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let _ = (face, world);
        Ok(std::future::pending())
    }
}
