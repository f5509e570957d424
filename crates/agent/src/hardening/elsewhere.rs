//! None of it is done.

use std::io;

pub(super) fn not_dumpable() -> io::Result<()> {
    Err(only_on_linux())
}

pub(super) fn no_core() -> io::Result<()> {
    Err(only_on_linux())
}

pub(super) fn locked() -> io::Result<()> {
    Err(only_on_linux())
}

fn only_on_linux() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "only done on Linux")
}
