//! The engine, the refresher, the keyring and the stores' shell under shuttle: random orders of
//! readers, rejections, failures, lost runtimes, shutdowns, and of roles that come and go.

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
pub(crate) mod futures;
#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[allow(clippy::default_constructed_unit_structs, reason = "the library's clock is no unit")]
#[path = "../../src/keyring.rs"]
mod keyring;
#[path = "random_orders/keyrings.rs"]
mod keyrings;
#[path = "../../src/pace.rs"]
mod pace;
#[path = "random_orders/refreshable.rs"]
mod refreshable;
#[path = "../../src/refresher.rs"]
mod refresher;
#[path = "random_orders/script.rs"]
mod script;
#[path = "random_orders/shared_stores.rs"]
mod shared_stores;
#[path = "random_orders/shell.rs"]
mod shell;
#[path = "random_orders/stores.rs"]
mod stores;
#[path = "random_orders/sync.rs"]
pub(crate) mod sync;
#[path = "random_orders/time.rs"]
mod time;

use std::{sync::Arc, time::Duration};

use rolekeeper::Source;
use rolekeeper_core::{
    Credentials, Issued, Moment, Offer, RefreshMode, RefreshPolicy, Session, WallTime,
};
use shuttle::{
    future::{block_on, spawn},
    rand::{Rng, thread_rng},
    thread,
};

use cell::Cell;
use refreshable::RefreshableCredentials;
use script::Answer;
use shell::{Shell, pass_some_time};
pub(crate) use time::Clock;

const ROUNDS: usize = 1000;

fn policies() -> [RefreshPolicy; 3] {
    [RefreshPolicy::default(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
}

/// Runs `story` for each policy in many orders; shuttle itself notices when nobody can go on. After
/// it, nobody may be at work any more.
fn by_each_policy(story: impl AsyncFn(RefreshPolicy) + Copy + Send + Sync + 'static) {
    for policy in policies() {
        let run = move || {
            time::begin();
            block_on(async {
                story(policy.clone()).await;
                time::end().await;
            });
        };
        shuttle::check_random(run, ROUNDS);
    }
}

/// The same for credentials of one role.
fn in_random_orders(story: impl AsyncFn(Shell) + Copy + Send + Sync + 'static) {
    by_each_policy(async move |policy| {
        let shell = Shell::new(policy);
        story(shell.clone()).await;
        shell.end().await;
    });
}

/// So many readers, each of whom reads a few times while time passes.
async fn readers(shell: &Shell, count: usize) {
    let read = |_| {
        let shell = shell.clone();
        spawn(async move {
            for _ in 0..3 {
                shell.read().await;
                pass_some_time().await;
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
        time::let_time_stand_still();
        let reads: Vec<_> = (0..4)
            .map(|_| {
                let shell = shell.clone();
                spawn(async move { shell.read().await })
            })
            .collect();
        for read in reads {
            assert!(read.await.unwrap().is_some(), "the source gives, so everyone gets");
        }
    });
}

#[test]
fn rejections_and_refreshes_by_hand_lose_no_wake_up() {
    in_random_orders(async |shell| {
        time::let_time_stand_still();
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
                    pass_some_time().await;
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
                pass_some_time().await;
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
        time::let_time_stand_still();
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
        assert!(patient.await.unwrap().is_some());
    });
}

#[test]
fn a_rejection_in_the_middle_of_a_fetch_brings_one_newer_session_and_loses_no_reader() {
    in_random_orders(async |shell| {
        time::let_time_stand_still();
        let rejected = shell.read().await.unwrap();
        let other = spawn({
            let shell = shell.clone();
            async move { shell.refresh_now().await }
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (shell, rejected) = (shell.clone(), Arc::clone(&rejected));
                spawn(async move {
                    shell.read().await.unwrap();
                    shell.rejected(rejected.access_key_id());
                    let found = shell.read().await.unwrap();
                    assert_ne!(found.access_key_id(), rejected.access_key_id());
                })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        other.await.unwrap();
        let held = shell.held().unwrap();
        assert_ne!(held.access_key_id(), rejected.access_key_id());
        // The first one, the one by hand, and one that the rejection asks for if it comes before
        // that by hand has begun.
        assert!((2..=3).contains(&shell.calls()), "{} calls", shell.calls());
    });
}

#[test]
fn on_demand_one_reader_waits_for_the_refresh_and_the_others_for_nobody() {
    in_random_orders(async |shell| {
        time::let_time_stand_still();
        let old = shell.read().await.unwrap();
        // Of the hour that the session has, a few minutes are left: by each policy it is to be
        // refreshed, and nobody has to wait.
        time::pass(Duration::from_secs(56 * 60)).await;
        shell.source_gives(&[Answer::Hangs]);
        let refreshing = spawn({
            let shell = shell.clone();
            async move { shell.refresh_now().await }
        });
        shell.until_asked(2).await;
        let reads: Vec<_> = (0..3)
            .map(|_| {
                let shell = shell.clone();
                spawn(async move { shell.read().await.unwrap() })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap().access_key_id(), old.access_key_id());
        }
        assert_eq!((shell.most_waiting(), shell.calls()), (1, 2));
        refreshing.await.unwrap();
    });
}

#[test]
fn of_readers_who_come_upon_the_advisory_window_at_once_only_one_waits() {
    in_random_orders(async |shell| {
        time::let_time_stand_still();
        let old = shell.read().await.unwrap();
        time::pass(Duration::from_secs(56 * 60)).await;
        let reads: Vec<_> = (0..3)
            .map(|_| {
                let shell = shell.clone();
                spawn(async move { shell.read().await.unwrap() })
            })
            .collect();
        let mut newer = 0;
        for read in reads {
            newer += usize::from(read.await.unwrap().access_key_id() != old.access_key_id());
        }
        let is_on_demand = shell.policy().mode() == RefreshMode::OnDemand;
        assert_eq!((shell.most_waiting(), newer > 0), (1, is_on_demand));
        assert_eq!(shell.calls(), if is_on_demand { 2 } else { 1 });
    });
}

#[test]
fn with_the_last_handle_everything_ends_wherever_it_is() {
    by_each_policy(async |policy| {
        let shell = Shell::new(policy);
        shell.source_gives(&[Answer::Session, Answer::Hangs]);
        let _ = RefreshableCredentials::clone(&shell);
        let reader = spawn({
            let shell = shell.clone();
            async move {
                shell.read().await;
            }
        });
        // Nobody is woken by his own alarm: by whoever drops the handle, or never.
        time::stop_time();
        reader.abort();
        drop(shell);
        let _ = reader.await;
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
