//! Each verb does what it does to a [`Slot`].

use std::time::Duration;

use proptest::prelude::*;
use rolekeeper::{Failure, stores::SessionStore};
use rolekeeper_core::{Elapsed, Fence, Lease, Slot};

use super::{open, server::Server};
use crate::file::{hour, key};

/// So that nothing ends meanwhile: what time does is another test's.
const LONG: Duration = Duration::from_mins(4);

#[derive(Clone, Debug)]
enum Verb {
    Load,
    Lease,
    /// Of those that were granted; beyond them, of none that ever was.
    Renew(usize),
    Save(usize),
    Cool(usize),
    Release(usize),
}

fn verb() -> impl Strategy<Value = Verb> {
    let one = || 0..4_usize;
    prop_oneof![
        2 => Just(Verb::Load),
        3 => Just(Verb::Lease),
        1 => one().prop_map(Verb::Renew),
        2 => one().prop_map(Verb::Save),
        1 => one().prop_map(Verb::Cool),
        1 => one().prop_map(Verb::Release),
    ]
}

/// What both must agree on.
fn kind(lease: &Lease) -> String {
    match lease {
        Lease::Granted(_) => "granted".to_owned(),
        Lease::Taken { left } => {
            let left = left.unwrap();
            assert!(left <= LONG && left > LONG / 2, "{left:?}");
            "taken".to_owned()
        }
        Lease::Cooling { failure, left } => {
            assert!(*left <= LONG && *left > LONG / 2, "{left:?}");
            format!("{failure:?}")
        }
    }
}

#[test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
fn each_verb_does_what_it_does_to_a_slot() {
    let server = Server::start(&[]);
    let store = open(&server.address());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let number = std::cell::Cell::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    proptest!(config, |(verbs in prop::collection::vec(verb(), 1..40))| {
        number.set(number.get() + 1);
        let key = key(&number.get().to_string());
        let mut slot = Slot::default();
        let now = Elapsed::default();
        // As the slot, and as Redis calls the same lease; the newest first.
        let mut fences: Vec<(Fence, Fence)> = Vec::new();
        runtime.block_on(async {
            for (at, verb) in verbs.iter().enumerate() {
                let fence = |which: usize| {
                    let none = (Fence(u64::MAX), Fence(7));
                    fences.get(which).copied().unwrap_or(none)
                };
                let issued = hour(&format!("A{at}"));
                let failure = Failure::denied(format!("failure {at}")).with_code("X");
                match *verb {
                    Verb::Load => {
                        let ours = store.load(&key).await.unwrap().map(|stored| stored.issued);
                        assert_eq!(ours.as_ref(), slot.load(now).map(|(issued, _)| issued));
                    }
                    Verb::Lease => {
                        let theirs = slot.lease(now, LONG);
                        let ours = store.lease(&key, LONG).await.unwrap();
                        assert_eq!(kind(&ours), kind(&theirs));
                        if let (Lease::Granted(theirs), Lease::Granted(ours)) = (theirs, ours) {
                            assert!(fences.first().is_none_or(|(_, last)| ours > *last));
                            fences.insert(0, (theirs, ours));
                        }
                    }
                    Verb::Renew(which) => {
                        let (theirs, ours) = fence(which);
                        let ours = store.renew(&key, ours, LONG).await.unwrap();
                        assert_eq!(ours, slot.renew(now, theirs, LONG));
                    }
                    Verb::Save(which) => {
                        let (theirs, ours) = fence(which);
                        let ours = store.save(&key, ours, &issued).await.unwrap();
                        assert_eq!(ours, slot.save(now, theirs, issued));
                    }
                    Verb::Cool(which) => {
                        let (theirs, ours) = fence(which);
                        let ours = store.cool(&key, ours, &failure, LONG).await.unwrap();
                        assert_eq!(ours, slot.cool(now, theirs, failure, LONG));
                    }
                    Verb::Release(which) => {
                        let (theirs, ours) = fence(which);
                        store.release(&key, ours);
                        slot.release(theirs);
                        // It is sent before anything that comes after.
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
    });
}
