//! The engine and the refresher under shuttle: random orders of readers, rejections, failures, lost
//! runtimes and shutdowns.

#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../../src/cell.rs"]
mod cell;
#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/engine.rs"]
mod engine;
#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../../src/events.rs"]
mod events;
#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/futures.rs"]
mod futures;
#[path = "../../src/refresher.rs"]
mod refresher;
#[path = "random_orders/shell.rs"]
mod shell;
#[path = "random_orders/sync.rs"]
mod sync;

use std::sync::Arc;

use rolekeeper_core::{Credentials, Issued, Moment, Offer, RefreshPolicy, Session, WallTime};
use shuttle::{
    future::{block_on, spawn},
    rand::{Rng, thread_rng},
    thread,
};

use cell::Cell;
use shell::{Answer, Shell};

const ROUNDS: usize = 1000;

fn policies() -> [RefreshPolicy; 3] {
    [RefreshPolicy::default(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
}

/// Runs `story` for each policy in many orders; shuttle itself notices when nobody can go on.
fn in_random_orders(story: impl AsyncFn(Shell) + Copy + Send + Sync + 'static) {
    for policy in policies() {
        let run = move || {
            let shell = Shell::new(policy.clone());
            block_on(async {
                story(shell.clone()).await;
                shell.end().await;
            });
        };
        shuttle::check_random(run, ROUNDS);
    }
}

/// So many readers, each of whom reads a few times while time passes.
async fn readers(shell: &Shell, count: usize) {
    let read = |_| {
        let shell = shell.clone();
        spawn(async move {
            for _ in 0..3 {
                shell.read().await;
                shell.pass_some_time().await;
            }
        })
    };
    for reader in (0..count).map(read).collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[test]
fn every_reader_gets_an_answer_whatever_the_source_does() {
    in_random_orders(async |shell| {
        shell.source_gives(&[Answer::Session, Answer::Fails, Answer::Denies, Answer::Hangs]);
        readers(&shell, 3).await;
    });
}

#[test]
fn readers_at_the_start_are_all_served_by_the_first_session() {
    in_random_orders(async |shell| {
        shell.let_time_stand_still();
        let reads: Vec<_> = (0..4)
            .map(|_| {
                let shell = shell.clone();
                spawn(async move { shell.read().await })
            })
            .collect();
        for read in reads {
            assert!(read.await.unwrap(), "the source gives, so everyone gets");
        }
    });
}

#[test]
fn rejections_and_refreshes_by_hand_lose_no_wake_up() {
    in_random_orders(async |shell| {
        shell.let_time_stand_still();
        shell.source_gives(&[Answer::Session, Answer::Session, Answer::Fails]);
        let other = spawn({
            let shell = shell.clone();
            async move {
                for _ in 0..3 {
                    if thread_rng().r#gen() {
                        shell.reject_what_is_held();
                    } else {
                        shell.refresh_now().await;
                    }
                }
            }
        });
        readers(&shell, 2).await;
        other.await.unwrap();
    });
}

#[test]
fn when_a_runtime_goes_its_work_is_taken_over_and_no_reader_is_forgotten() {
    in_random_orders(async |shell| {
        shell.source_gives(&[Answer::Session, Answer::Session, Answer::Fails]);
        let other = spawn({
            let shell = shell.clone();
            async move {
                for _ in 0..3 {
                    shell.pass_some_time().await;
                    shell.lose_a_runtime();
                }
            }
        });
        readers(&shell, 3).await;
        other.await.unwrap();
    });
}

#[test]
fn a_shutdown_at_any_moment_answers_all_and_leaves_nothing() {
    in_random_orders(async |shell| {
        shell.source_gives(&[Answer::Session, Answer::Fails, Answer::Hangs]);
        let other = spawn({
            let shell = shell.clone();
            async move {
                shell.pass_some_time().await;
                shell.refresh_now().await;
                shell.end().await;
            }
        });
        readers(&shell, 3).await;
        other.await.unwrap();
    });
}

#[test]
fn readers_that_give_up_take_nothing_along() {
    in_random_orders(async |shell| {
        shell.let_time_stand_still();
        let hasty: Vec<_> = (0..3)
            .map(|_| {
                let shell = shell.clone();
                spawn(async move {
                    shell.read().await;
                })
            })
            .collect();
        let patient = spawn({
            let shell = shell.clone();
            async move { shell.read().await }
        });
        for reader in hasty {
            reader.abort();
        }
        assert!(patient.await.unwrap());
    });
}

#[test]
fn no_read_is_lost_between_two_looks_at_the_flag() {
    // In every order. Not loom's: its swap may read another store than the last one.
    let story = || {
        let credentials = Credentials::new("ASIA", "secret", "token");
        let issued = Issued::new(credentials, WallTime::from_unix_secs(3600));
        let session = Arc::new(Session::place(issued, Moment::default(), 1));
        let cell = Arc::new(Cell::new(true));
        cell.publish(Some(Offer { until: session.end(), session }));
        let reader = |cell: &Arc<Cell>| {
            let cell = Arc::clone(cell);
            thread::spawn(move || assert!(cell.take(Moment::default).is_some()))
        };
        let readers = [reader(&cell), reader(&cell)];
        let seen = cell.take_touched();
        for reader in readers {
            reader.join().unwrap();
        }
        let seen_later = cell.take_touched();
        assert!(seen || seen_later);
        // One who reads after the refresher has looked is always seen by its next look.
        reader(&cell).join().unwrap();
        assert!(cell.take_touched());
        assert!(!cell.take_touched(), "and once");
    };
    shuttle::check_dfs(story, None);
}
