//! Nobody hands over sockets, and nobody listens.

use std::io;

use super::{Inherited, Notifier, State};

pub(super) fn take() -> Result<Inherited, String> {
    Ok(Inherited::default())
}

pub(super) fn notifier() -> Notifier {
    Notifier { is_heard: false, watchdog: None }
}

pub(super) fn tell(_: Option<State>, _: Option<&str>) -> io::Result<()> {
    Ok(())
}
