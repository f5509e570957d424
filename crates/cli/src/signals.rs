//! How somebody tells a command to end, `Ctrl-C` or SIGTERM, or to read its configuration again,
//! SIGHUP. From the moment that they are listened for they do nothing else.

pub(crate) use system::{End, Reload};

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::exit::Trouble;

    pub(crate) struct End {
        interrupt: Signal,
        terminate: Signal,
    }

    pub(crate) struct Reload(Signal);

    impl End {
        pub(crate) fn listen() -> Result<Self, Trouble> {
            let interrupt = listen(SignalKind::interrupt())?;
            Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
        }

        /// The number of the next one.
        pub(crate) async fn next(&mut self) -> i32 {
            tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            }
        }
    }

    impl Reload {
        pub(crate) fn listen() -> Result<Self, Trouble> {
            listen(SignalKind::hangup()).map(Self)
        }

        pub(crate) async fn next(&mut self) {
            self.0.recv().await;
        }
    }

    fn listen(kind: SignalKind) -> Result<Signal, Trouble> {
        signal(kind).map_err(|error| Trouble::system("cannot listen for signals", error))
    }
}

#[cfg(not(unix))]
mod system {
    use std::future::pending;

    use crate::exit::Trouble;

    /// As which Ctrl-C counts.
    const INTERRUPT: i32 = 2;

    pub(crate) struct End(());

    pub(crate) struct Reload(());

    impl End {
        pub(crate) fn listen() -> Result<Self, Trouble> {
            Ok(Self(()))
        }

        pub(crate) async fn next(&mut self) -> i32 {
            if tokio::signal::ctrl_c().await.is_err() {
                pending::<()>().await;
            }
            INTERRUPT
        }
    }

    impl Reload {
        pub(crate) fn listen() -> Result<Self, Trouble> {
            Ok(Self(()))
        }

        /// There is no signal for it: the command has to be started anew.
        pub(crate) async fn next(&mut self) {
            pending::<()>().await;
        }
    }
}
