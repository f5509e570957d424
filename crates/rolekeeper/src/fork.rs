//! Lets a program fork while the threads of ours are at rest, so that what its child inherits of
//! them is whole.
//!
//! A child has the memory of its parent and none of its threads. What is made once a process (root
//! certificates, say) and was being made by such a thread is never finished there, and whoever asks
//! for it waits for ever. All else needs no such care: a child makes an engine, a thread and
//! connections of its own.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

static WORKING: AtomicUsize = AtomicUsize::new(0);
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// How often those look who wait for a fork, or to fork: it takes about this long.
const BEAT: Duration = Duration::from_micros(200);

/// Work that no fork may cut in two, until it is dropped. It must not wait for anybody.
#[derive(Debug)]
pub struct Work(());

/// Waits until all [`Work`] is done, for `patience` at most, and has nobody begin any until
/// [`forked_parent`] or [`forked_child`]. To be called right before a `fork`.
///
/// ```
/// use std::time::Duration;
///
/// rolekeeper::fork::hold_still(Duration::from_secs(1));
/// // … fork …
/// rolekeeper::fork::forked_parent();
/// ```
#[expect(clippy::disallowed_methods, reason = "a pause of a second, in which no machine sleeps")]
pub fn hold_still(patience: Duration) {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let begin = Instant::now();
    while WORKING.load(Ordering::SeqCst) > 0 && begin.elapsed() < patience {
        thread::sleep(BEAT);
    }
}

/// The fork is done, or has failed: work goes on.
pub fn forked_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// In the child: whoever worked there is the parent's.
pub fn forked_child() {
    WORKING.store(0, Ordering::SeqCst);
    FORKING.store(0, Ordering::SeqCst);
}

impl Work {
    /// Waits for a fork that is under way.
    pub fn begin() -> Self {
        loop {
            WORKING.fetch_add(1, Ordering::SeqCst);
            let work = Self(());
            if FORKING.load(Ordering::SeqCst) == 0 {
                return work;
            }
            drop(work);
            thread::sleep(BEAT);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // A forked child forgets its parent's work in the middle of things.
        let fewer = |count: usize| count.checked_sub(1);
        let _ = WORKING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }
}

/// A runtime on this thread, which works but for when it waits for events.
///
/// # Errors
/// The operating system refuses it.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(|| drop(Work(())))
        .on_thread_unpark(|| std::mem::forget(Work::begin()))
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    // One test, since what it looks at is the process's.
    #[test]
    fn a_fork_waits_for_work_and_holds_off_more() {
        let work = Work::begin();
        let (tell, told) = mpsc::channel();
        let forker = thread::spawn(move || {
            hold_still(Duration::from_secs(60));
            tell.send(()).unwrap();
        });
        while FORKING.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        told.try_recv().expect_err("there is work under way");
        drop(work);
        forker.join().unwrap();
        told.try_recv().expect("all is at rest");

        let (tell, told) = mpsc::channel();
        let worker = thread::spawn(move || {
            let work = Work::begin();
            tell.send(()).unwrap();
            drop(work);
        });
        told.recv_timeout(Duration::from_millis(20)).expect_err("a fork is under way");
        forked_parent();
        worker.join().unwrap();

        let abandoned = Work::begin();
        hold_still(Duration::ZERO);
        forked_child();
        drop((abandoned, Work::begin()));
        assert_eq!(WORKING.load(Ordering::SeqCst), 0);
    }
}
