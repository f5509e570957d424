//! Plain threads, with no runtime anywhere: real time, and a source that answers at once.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rolekeeper::{
    Failure, FailureKind, Issued, RefreshPolicy, RefreshableCredentials, WallTime,
    sources::Callback,
};

use crate::support::{alone, denied, issued};

/// A source that answers at once, and how often it was asked.
fn source(
    answer: impl Fn(usize) -> Result<Issued, Failure> + Send + Sync + 'static,
) -> (Callback, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let callback = Callback::new("callback", move || {
        let answer = answer(counted.fetch_add(1, Ordering::SeqCst) + 1);
        async { answer }
    });
    (callback, calls)
}

fn until_2100(number: usize) -> Result<Issued, Failure> {
    Ok(issued(number, WallTime::from_unix_secs(4_102_444_800)))
}

/// The number of this process' threads.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor that is not tokio's.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(Duration::from_secs(10)),
        }
    }
}

#[test]
fn plain_threads_read_and_share_one_fetch() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let (source, calls) = source(until_2100);
        let credentials = RefreshableCredentials::builder(source).policy(policy).build();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(credentials.blocking_get().unwrap().generation(), 1));
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn on_demand_a_plain_thread_does_the_work_itself() {
    let reader = thread::current().id();
    let (source, _) = source(move |number| {
        assert_eq!(thread::current().id(), reader);
        until_2100(number)
    });
    let policy = RefreshPolicy::on_demand();
    let credentials = RefreshableCredentials::builder(source).policy(policy).build();
    credentials.blocking_get().unwrap();
}

#[test]
fn a_plain_thread_gets_the_error() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let (source, calls) = source(|_| Err(denied()));
        let credentials = RefreshableCredentials::builder(source).policy(policy).build();
        for _ in 0..10 {
            let error = credentials.blocking_get().unwrap_err();
            assert_eq!(error.kind(), FailureKind::Denied);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_plain_thread_waits_no_longer_than_its_deadline() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let source = Callback::new("callback", std::future::pending::<Result<Issued, Failure>>);
        let policy = policy.with_read_deadline(Duration::from_millis(20));
        let credentials = RefreshableCredentials::builder(source).policy(policy).build();
        let error = credentials.blocking_get().unwrap_err();
        assert_eq!(error.kind(), FailureKind::Unavailable);
        assert!(error.to_string().contains("within 0 s, the reader's deadline"), "{error}");
    }
}

#[test]
fn a_shutdown_sends_those_home_who_wait_on_plain_threads() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let (tell, told) = std::sync::mpsc::channel();
        let source = Callback::new("callback", move || {
            let _ = tell.send(());
            std::future::pending::<Result<Issued, Failure>>()
        });
        let credentials = RefreshableCredentials::builder(source).policy(policy).build();
        thread::scope(|scope| {
            let reader = scope.spawn(|| credentials.blocking_get().unwrap_err());
            told.recv().unwrap(); // The reader's fetch is under way.
            credentials.shutdown();
            assert!(reader.join().unwrap().to_string().contains("shut down"));
        });
    }
}

#[test]
fn get_works_under_any_executor() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let (source, _) = source(|number| match number {
            1 => Err(Failure::unavailable("not yet")),
            _ => until_2100(number),
        });
        let credentials = RefreshableCredentials::builder(source).policy(policy).build();
        let session = block_on(credentials.get_patiently(Duration::from_secs(20))).unwrap();
        assert_eq!(session.generation(), 1);
        assert_eq!(block_on(credentials.refresh_now()).unwrap().generation(), 2);
    }
}

#[test]
fn on_demand_a_blocking_reader_leaves_no_thread_behind() {
    alone("blocking::child_on_demand_without_threads");
}

#[test]
#[ignore = "run in a process of its own by the test above"]
fn child_on_demand_without_threads() {
    let before = threads();
    let (source, calls) = source(until_2100);
    let policy = RefreshPolicy::on_demand();
    let credentials = RefreshableCredentials::builder(source).policy(policy).build();
    credentials.blocking_get().unwrap();
    credentials.blocking_get().unwrap();
    assert!(credentials.current().is_some());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(threads(), before);
}

#[test]
fn in_the_background_the_threads_end_with_the_last_handle() {
    alone("blocking::child_threads_end");
}

#[test]
#[ignore = "run in a process of its own by the test above"]
fn child_threads_end() {
    let before = threads();
    let (source, _) = source(until_2100);
    let credentials = RefreshableCredentials::builder(source).build();
    credentials.blocking_get().unwrap();
    assert_eq!(threads(), before + 2, "the refresher's and the clocks'");
    drop(credentials);
    // The clocks' thread looks once a second whether it is still wanted.
    for _ in 0..100 {
        if threads() == before {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{} threads are left", threads() - before);
}
