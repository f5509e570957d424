//! Keyrings under shuttle: roles that come and go, and the pace that all of them keep.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use rolekeeper_core::{Elapsed, RefreshPolicy};
use shuttle::{
    future::{spawn, yield_now},
    rand::{Rng, thread_rng},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    by_each_policy,
    keyring::Keyring,
    refreshable::RefreshableCredentials,
    script::{Answer, Script},
    shell::pass_some_time,
    time,
};

/// Between two fetches of one account.
const GAP: Duration = Duration::from_millis(100);

const ROLES: [&str; 4] = ["a", "b", "c", "d"];

fn keyring(policy: RefreshPolicy) -> Arc<Keyring<&'static str>> {
    Arc::new(Keyring::new().with_policy(policy).with_pace(NonZeroU32::new(10).unwrap()))
}

/// All roles of one account, each read by somebody.
async fn read_all(keyring: &Arc<Keyring<&'static str>>, script: &Script) -> Vec<bool> {
    let read = |role| {
        let (keyring, script) = (Arc::clone(keyring), script.sibling(role));
        spawn(async move { keyring.get_or_insert(role, || script).read().await.is_some() })
    };
    let mut outcomes = Vec::new();
    for read in ROLES.map(read) {
        outcomes.push(read.await.unwrap());
    }
    outcomes
}

#[test]
fn however_many_ask_for_a_role_at_once_it_is_made_once() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let keyring = keyring(policy);
        let made = Arc::new(AtomicUsize::new(0));
        let script = Script::new("role");
        let reads: Vec<_> = (0..3)
            .map(|_| {
                let (keyring, made, script) =
                    (Arc::clone(&keyring), Arc::clone(&made), script.clone());
                spawn(async move {
                    let source = || {
                        made.fetch_add(1, Ordering::SeqCst);
                        script
                    };
                    let session = keyring.get_or_insert("role", source).read().await.unwrap();
                    session.access_key_id().to_owned()
                })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap(), "ASIArole1");
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert_eq!(script.asked().len(), 1);
        assert_eq!(keyring.len(), 1);
    });
}

#[test]
fn roles_that_come_and_go_leave_nobody_waiting_and_nobody_at_work() {
    by_each_policy(async |policy| {
        let keyring = keyring(policy);
        let users: Vec<_> = (0..3)
            .map(|_| {
                let keyring = Arc::clone(&keyring);
                spawn(async move {
                    for _ in 0..2 {
                        let role = ROLES[thread_rng().gen_range(0..2)];
                        let script = Script::new(role);
                        script.gives(&[Answer::Session, Answer::Fails, Answer::Hangs]);
                        let found = keyring.get_or_insert(role, || script);
                        match thread_rng().gen_range(0..4) {
                            0 => drop(keyring.remove(&role)),
                            // Gives up at once, in the middle of whatever has begun.
                            1 => {
                                let reader = spawn(async move { drop(found.read().await) });
                                reader.abort();
                                let _ = reader.await;
                            }
                            2 => drop(found.read().await),
                            _ => pass_some_time().await,
                        }
                        for found in keyring.all() {
                            found.held();
                        }
                    }
                })
            })
            .collect();
        for user in users {
            user.await.unwrap();
        }
        time::stop_time();
    });
}

#[test]
fn fetches_of_one_account_keep_the_pace_and_waste_none_of_it() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let (keyring, script) = (keyring(policy), Script::new("all"));
        assert_eq!(read_all(&keyring, &script).await, [true; 4]);
        assert_eq!(script.asked().len(), ROLES.len());
        for (before, asked) in script.asked().into_iter().enumerate() {
            let turn = Elapsed::default().after(GAP * u32::try_from(before).unwrap());
            assert!(asked >= turn, "the pace was not kept: {:?}", script.asked());
        }
        let whole = GAP * u32::try_from(ROLES.len()).unwrap();
        assert!(time::now().elapsed <= Elapsed::default().after(whole), "turns were wasted");
    });
}

#[test]
fn when_who_lets_the_others_go_is_lost_with_its_runtime_nobody_waits_for_ever() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let (keyring, script) = (keyring(policy), Script::new("all"));
        let other = spawn(async {
            for _ in 0..3 {
                while time::lose_ushers().is_empty() {
                    yield_now().await;
                }
            }
        });
        assert_eq!(read_all(&keyring, &script).await, [true; 4]);
        // There may have been fewer.
        other.abort();
        let _ = other.await;
    });
}

#[test]
fn who_gives_up_while_it_waits_for_its_turn_costs_nobody_theirs() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let (keyring, script) = (keyring(policy), Script::new("all"));
        let quitters: Vec<RefreshableCredentials> =
            ["x", "y"].map(|role| keyring.get_or_insert(role, || script.sibling(role))).into();
        let other = spawn({
            let keyring = Arc::clone(&keyring);
            async move {
                for (role, quitter) in ["x", "y"].into_iter().zip(quitters) {
                    let reader = spawn({
                        let quitter = quitter.clone();
                        async move { drop(quitter.read().await) }
                    });
                    quitter.end().await;
                    keyring.remove(&role);
                    reader.await.unwrap();
                }
            }
        });
        assert_eq!(read_all(&keyring, &script).await, [true; 4]);
        other.await.unwrap();
        assert_eq!(keyring.len(), ROLES.len());
    });
}
