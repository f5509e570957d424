//! How somebody tells a command to end: `Ctrl-C` or SIGTERM.

use crate::exit::Trouble;

#[cfg(unix)]
pub(crate) struct End {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl End {
    /// From here on they don't end us.
    pub(crate) fn listen() -> Result<Self, Trouble> {
        use tokio::signal::unix::SignalKind;
        let (interrupt, terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

#[cfg(unix)]
pub(crate) fn listen(
    kind: tokio::signal::unix::SignalKind,
) -> Result<tokio::signal::unix::Signal, Trouble> {
    tokio::signal::unix::signal(kind)
        .map_err(|error| Trouble::system("cannot listen for signals", error))
}

#[cfg(not(unix))]
pub(crate) struct End;

#[cfg(not(unix))]
impl End {
    pub(crate) fn listen() -> Result<Self, Trouble> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> i32 {
        const INTERRUPT: i32 = 2;
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        INTERRUPT
    }
}
