//! Whatever happens to participants, store and source.

use std::ops::Range;

use proptest::{collection::vec, prelude::*};

use crate::fleet::{MS, Plan, SECOND, run};

/// The trouble is over by then, in seconds.
const TROUBLE: i64 = 1800;
/// By then everybody has a session again: the longest backoff, a lease and a fetch later.
const HEALED: i64 = TROUBLE + 60;

fn ranges() -> impl Strategy<Value = Vec<Range<i64>>> {
    let range = (0..TROUBLE, 1..600_i64)
        .prop_map(|(from, long)| from * SECOND..(from + long).min(TROUBLE) * SECOND);
    vec(range, 0..4)
}

/// In milliseconds, since what matters happens within a fetch.
fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![0..5000_i64, 0..TROUBLE * 1000].prop_map(|at| at * MS)
}

prop_compose! {
    fn healthy()(
        participants in 1..30_usize,
        life in prop_oneof![Just(900_i64), Just(3600), Just(43_200)],
        starts_within in 0..300_i64,
        source_takes in 1..4000_i64,
        source_is_down in ranges(),
        clocks_off in 0..7200_i64,
        seed in any::<u64>(),
    ) -> Plan {
        Plan {
            participants,
            life,
            starts_within: starts_within * SECOND,
            source_takes: source_takes * MS,
            source_is_down,
            clocks_off: clocks_off * SECOND,
            seed,
            ..Plan::default()
        }
    }
}

prop_compose! {
    fn anything()(
        plan in healthy(),
        store_is_down in ranges(),
        store_forgets in vec(moments(), 0..3),
        deaths in vec((moments(), any::<prop::sample::Index>()), 0..20),
        stops in vec((moments(), 1..120_i64, any::<prop::sample::Index>()), 0..10),
    ) -> Plan {
        let place = |index: prop::sample::Index| index.index(plan.participants);
        let mut forgets = store_forgets;
        forgets.sort_unstable();
        Plan {
            store_is_down,
            store_forgets: forgets,
            deaths: deaths.into_iter().map(|(at, who)| (at, place(who))).collect(),
            stops: stops
                .into_iter()
                .map(|(at, long, who)| (at..(at + long * SECOND).min(TROUBLE * SECOND), place(who)))
                .collect(),
            ..plan
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn with_a_store_that_works_the_source_is_asked_by_one_at_a_time(plan in healthy()) {
        let seen = run(&plan, HEALED);
        prop_assert!(seen.most_at_once() <= 1);
        prop_assert_eq!(seen.refused_saves, 0);
        prop_assert_eq!(seen.left_without, 0);
        // Before a quarter of a life has gone by, a session that is in a store is not replaced.
        let sessions = 1 + HEALED / (plan.life / 4);
        prop_assert!(seen.sessions() as i64 <= sessions, "{} sessions", seen.sessions());
    }

    #[test]
    fn whatever_happens_nobody_serves_the_dead_and_all_have_a_session_afterwards(
        plan in anything(),
    ) {
        let seen = run(&plan, HEALED);
        prop_assert_eq!(seen.left_without, 0);
    }
}
