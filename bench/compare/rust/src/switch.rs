//! One address for two servers, one after the other: for a first session of another length than
//! those that follow.

use std::{io, net::SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::JoinHandle,
};

/// Passes bytes on to the server that it was last turned to, until it is dropped.
pub(crate) struct Switch {
    address: SocketAddr,
    target: watch::Sender<String>,
    serving: JoinHandle<()>,
}

// === impl Switch ===

impl Switch {
    pub(crate) async fn to(url: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (target, turned) = watch::channel(without_scheme(url));
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass_on(near, turned.clone()));
            }
        });
        Ok(Self { address, target, serving })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on; whoever is connected to the other has to connect again.
    pub(crate) fn turn_to(&self, url: &str) {
        self.target.send_replace(without_scheme(url));
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(mut near: TcpStream, mut turned: watch::Receiver<String>) {
    let target = turned.borrow_and_update().clone();
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = turned.changed() => {}
    }
}

fn without_scheme(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}
