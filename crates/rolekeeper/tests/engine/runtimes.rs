//! Handles outlive the runtimes that refreshers run in.

use std::{sync::mpsc, thread, time::Duration};

use rolekeeper::{Clock, RefreshPolicy, RefreshableCredentials, clock::Simulated};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Answer, MINUTE, Script, pass, timed};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

fn kept(script: &Script, policy: RefreshPolicy) -> RefreshableCredentials {
    script.kept_by(policy)
}

#[test]
fn a_handle_goes_on_in_another_runtime_after_its_first_one_has_gone() {
    let first = runtime();
    let (clock, script, credentials) = first.block_on(async {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = script.kept();
        credentials.get().await.unwrap();
        (clock, script, credentials)
    });
    drop(first);
    runtime().block_on(async {
        let (took, read) = timed(&clock, credentials.get()).await;
        assert_eq!((took, read.unwrap().generation()), (Duration::ZERO, 1));
        pass(40 * MINUTE).await;
        assert_eq!(script.calls(), 2, "and is refreshed here, in the background");
    });
}

#[test]
fn current_too_brings_the_refresher_back() {
    let first = runtime();
    let (script, credentials) = first.block_on(async {
        let script = Script::new(&Simulated::new());
        let credentials = script.kept();
        credentials.get().await.unwrap();
        (script, credentials)
    });
    drop(first);
    runtime().block_on(async {
        assert!(credentials.current().is_some());
        pass(40 * MINUTE).await;
        assert_eq!(script.calls(), 2);
    });
}

#[test]
fn a_fetch_that_its_runtime_took_along_is_made_again_for_the_next_reader() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let first = runtime();
        let (script, credentials) = first.block_on(async {
            let script = Script::new(&Simulated::new());
            script.answers_first([Answer::Hangs]);
            let credentials = kept(&script, policy.clone());
            let _ = tokio::time::timeout(Duration::from_secs(1), credentials.get()).await;
            (script, credentials)
        });
        drop(first);
        assert_eq!(script.calls(), 1);
        let generation =
            runtime().block_on(async { credentials.get().await.unwrap().generation() });
        assert_eq!((generation, script.calls()), (1, 2), "{:?}", policy.mode());
    }
}

#[test]
fn a_refresher_that_never_got_to_run_is_replaced() {
    let (script, credentials) = {
        let first = runtime();
        let _inside = first.enter();
        let script = Script::new(&Simulated::new());
        let credentials = script.kept();
        (script, credentials)
    };
    let generation = runtime().block_on(async { credentials.get().await.unwrap().generation() });
    assert_eq!((generation, script.calls()), (1, 1));
}

#[test]
fn a_chosen_runtime_that_has_gone_is_replaced_by_the_readers() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let chosen = runtime();
        let clock = chosen.block_on(async { Simulated::new() });
        let script = Script::new(&clock);
        let credentials = RefreshableCredentials::builder(script.source())
            .clock(Clock::Simulated(clock))
            .policy(policy.clone())
            .runtime(chosen.handle().clone())
            .build();
        drop(chosen);
        runtime().block_on(async {
            assert_eq!(credentials.get().await.unwrap().generation(), 1, "{:?}", policy.mode());
        });
    }
}

#[test]
fn a_reader_that_waits_elsewhere_takes_over_when_the_refreshers_runtime_goes() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let first = runtime();
        let (script, credentials) = first.block_on(async {
            let script = Script::new(&Simulated::new());
            script.answers_first([Answer::Hangs]);
            let credentials = kept(&script, policy.clone());
            let _ = tokio::time::timeout(Duration::from_secs(1), credentials.get()).await;
            (script, credentials)
        });
        let (told, tells) = mpsc::channel();
        let reader = thread::spawn(move || {
            // Real time, so that it is still waiting when the other one goes.
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let read = credentials.get();
                let mut read = std::pin::pin!(read);
                let poll =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx)));
                assert!(poll.await.is_pending());
                told.send(()).unwrap();
                read.await.map(|session| session.generation())
            })
        });
        tells.recv().unwrap();
        drop(first);
        assert_eq!(reader.join().unwrap().unwrap(), 1);
        assert_eq!(script.calls(), 2);
    }
}

#[test]
fn the_refresher_stays_with_the_runtime_it_was_made_in() {
    let first = runtime();
    let (script, credentials) = first.block_on(async {
        let script = Script::new(&Simulated::new());
        let credentials = script.kept();
        credentials.get().await.unwrap();
        (script, credentials)
    });
    runtime().block_on(async { credentials.get().await.unwrap() });
    first.block_on(async {
        pass(70 * MINUTE).await;
        assert_eq!((script.calls(), script.most_at_once()), (3, 1));
    });
}
