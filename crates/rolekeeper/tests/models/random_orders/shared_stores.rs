//! Two refreshers that share a store under shuttle: who asks the source, who takes what the other
//! brings, and who takes over when that one is lost.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{RefreshMode, RefreshPolicy};
use shuttle::future::spawn;

use super::{
    by_each_policy,
    refreshable::{Builder, RefreshableCredentials},
    script::{Answer, Script},
    stores::MemoryStore,
    time::{self, Clock},
};

/// How long a fleet leaves its source alone after a failure.
const COOLING: Duration = Duration::from_secs(1);

const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Of one role, each as if in a process of its own.
fn two(policy: &RefreshPolicy, script: &Script) -> [RefreshableCredentials; 2] {
    let store = Arc::new(MemoryStore::with_clock(Clock));
    [(); 2].map(|()| {
        Builder::shared(Arc::new(script.clone()))
            .policy(Arc::new(policy.clone()))
            .store(Arc::clone(&store) as Arc<_>)
            .build()
    })
}

#[test]
fn two_who_share_a_store_ask_the_source_once() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let script = Script::shared("role");
        let reads = two(&policy, &script).map(|one| spawn(async move { one.read().await }));
        for read in reads {
            assert_eq!(read.await.unwrap().unwrap().access_key_id(), "ASIArole1");
        }
        assert_eq!(script.asked().len(), 1);
    });
}

#[test]
fn who_is_lost_in_the_middle_of_a_fetch_leaves_it_to_the_other() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let script = Script::shared("role");
        let [lost, other] = two(&policy, &script);
        let losing = spawn(async move {
            let reader = spawn({
                let lost = lost.clone();
                async move { lost.read().await }
            });
            time::pass(Duration::from_millis(20)).await;
            lost.lose_a_runtime();
            // Whoever reads has another begin, which goes by what the store has by then.
            assert!(reader.await.unwrap().is_some());
        });
        assert!(other.read().await.is_some());
        losing.await.unwrap();
        assert!(script.asked().len() <= 2, "{:?}", script.asked());
    });
}

#[test]
fn a_failure_is_told_to_both_and_the_source_is_left_alone_for_a_while() {
    by_each_policy(async |policy| {
        let script = Script::shared("role");
        script.gives(&[Answer::Session, Answer::Fails, Answer::Fails]);
        let readers = two(&policy, &script).map(|one| {
            spawn(async move {
                for _ in 0..3 {
                    one.read().await;
                    time::pass(COOLING / 2).await;
                }
            })
        });
        for reader in readers {
            reader.await.unwrap();
        }
        for pair in script.asked().windows(2) {
            assert!(pair[1].since(pair[0]) >= COOLING, "{:?}", script.asked());
        }
    });
}

#[test]
fn a_rejected_session_is_served_while_the_source_fails_and_replaced_when_it_is_back() {
    by_each_policy(async |policy| {
        time::let_time_stand_still();
        let script = Script::shared("role");
        let both = two(&policy, &script);
        for one in &both {
            assert!(one.read().await.is_some());
        }
        script.gives(&[Answer::Fails]);
        let rejecting = both.clone().map(|one| {
            spawn(async move {
                one.rejected("ASIArole1");
                let read = one.read().await.unwrap();
                assert_eq!(read.access_key_id(), "ASIArole1");
            })
        });
        for one in rejecting {
            one.await.unwrap();
        }
        script.gives(&[Answer::Session]);
        time::pass(Duration::from_secs(3600)).await;
        let reads = both.map(|one| {
            spawn(async move {
                let mut read = one.read().await;
                if read.is_none() && one.policy().mode() == RefreshMode::Background {
                    // In the middle of the fetch that this one waited for, an hour passed.
                    time::sleep(LONGEST_BACKOFF).await;
                    read = one.read().await;
                }
                assert_ne!(read.unwrap().access_key_id(), "ASIArole1");
            })
        });
        for read in reads {
            read.await.unwrap();
        }
    });
}
