//! How a service's log lines get to stderr: by a thread of their own, so that a pipe which nobody reads
//! holds up nobody who is served.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that wait for a reader who is slow: some 200 kB, beside the 64 kB of a pipe. What comes on
/// top is dropped, counted and told.
const MOST_WAITING: usize = 1024;

/// At the end, for the lines that are left.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A stack for a loop that calls nothing deep.
const STACK_BYTES: usize = 64 * 1024;

/// Takes a line at once, whoever reads it.
pub(super) struct LogThread;

enum Word {
    Line(Vec<u8>),
    /// Whoever waits for all lines before this one.
    Flush(SyncSender<()>),
}

/// Started by the first line: before that, a service is to have no thread. `None`: it can't be.
static WORDS: OnceLock<Option<SyncSender<Word>>> = OnceLock::new();

static DROPPED: AtomicU64 = AtomicU64::new(0);

// === impl LogThread ===

impl LogThread {
    fn words() -> Option<&'static SyncSender<Word>> {
        WORDS.get_or_init(start).as_ref()
    }
}

impl Write for LogThread {
    /// A whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match Self::words() {
            Some(words) if words.try_send(Word::Line(line.to_vec())).is_ok() => {}
            Some(_) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
            None => return io::stderr().write(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the lines so far are written, or nobody can be expected to read them any more.
pub(super) fn flush() {
    let Some(Some(words)) = WORDS.get() else { return };
    let (done, all_done) = sync_channel(1);
    if words.try_send(Word::Flush(done)).is_ok() {
        let _ = all_done.recv_timeout(LAST_WAIT);
    }
}

fn start() -> Option<SyncSender<Word>> {
    let (words, heard) = sync_channel(MOST_WAITING);
    let thread = thread::Builder::new().name("rolekeeper-log".into()).stack_size(STACK_BYTES);
    thread.spawn(move || write_all(&heard)).ok().map(|_| words)
}

fn write_all(heard: &Receiver<Word>) {
    for word in heard {
        match word {
            Word::Line(line) => {
                // Nobody may be there to read it.
                let _ = io::stderr().write_all(&line);
                let dropped = DROPPED.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    // A line like any other: it comes after those that waited.
                    tracing::warn!(
                        lines = dropped,
                        "nobody read the log, and lines of it are lost"
                    );
                }
            }
            Word::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
