//! Random histories of a simulated world. The invariants themselves are in `shell.rs`, beside each
//! verb.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use rolekeeper_core::{
    Credentials, Elapsed, Failure, FailureKind, Issued, Lifecycle, Moment, Read, RefreshMode,
    RefreshPolicy, Session, WallTime,
};

use crate::{
    scene::{Clocks, SECOND, secs},
    shell::{Answer, Op, Shell, Source},
};

fn policies() -> impl Strategy<Value = RefreshPolicy> {
    let base = prop_oneof![
        4 => Just(RefreshPolicy::default()),
        3 => Just(RefreshPolicy::on_demand()),
        3 => Just(RefreshPolicy::sdk_standard()),
        1 => Just(RefreshPolicy::sdk_standard().with_mode(RefreshMode::Background)),
    ];
    let idle = prop::option::weighted(0.3, (0..7200_u64).prop_map(secs));
    let windows = prop::option::weighted(0.2, (0..4000_u64, 0..1000_u64));
    (base, idle, windows).prop_map(|(mut policy, idle, windows)| {
        if let Some(idle) = idle {
            policy = policy.with_idle_after(idle);
        }
        if let Some((advisory, mandatory)) = windows {
            policy =
                policy.with_advisory_window(secs(advisory)).with_mandatory_window(secs(mandatory));
        }
        policy
    })
}

fn lives() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (3..60_u64).prop_map(secs),
        Just(secs(900)),
        (900..3600_u64).prop_map(secs),
        Just(secs(3600)),
        (3600..=43_200_u64).prop_map(secs),
    ]
}

fn kinds() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        4 => Just(FailureKind::Unavailable),
        1 => Just(FailureKind::BadAnswer),
        2 => Just(FailureKind::Denied),
        1 => Just(FailureKind::Misconfigured),
        1 => Just(FailureKind::NeedsPerson),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let retry_after = prop::option::weighted(0.3, (0..900_u64).prop_map(secs));
    prop_oneof![
        6 => lives().prop_map(Answer::Session),
        1 => lives().prop_map(Answer::SameKey),
        1 => Just(Answer::Session(Duration::ZERO)),
        1 => Just(Answer::NoKey),
        6 => (kinds(), retry_after, any::<bool>()).prop_map(|(kind, retry_after, with_date)| {
            Answer::Fails { kind, retry_after, with_date }
        }),
    ]
}

fn sources() -> impl Strategy<Value = Source> {
    let latency = prop_oneof![Just(0), 1..300_u64, 300..10_000_u64].prop_map(Duration::from_millis);
    let transit = (0..200_u64).prop_map(Duration::from_millis);
    (latency, transit, answers()).prop_map(|(latency, transit, answer)| Source {
        latency,
        transit,
        answer,
    })
}

/// From milliseconds to hours.
fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..1000_u64).prop_map(Duration::from_millis),
        (1..120_u64).prop_map(secs),
        (60..7200_u64).prop_map(secs),
        (3600..20_000_u64).prop_map(secs),
    ]
}

fn ops(distrusted: Distrusted) -> impl Strategy<Value = Op> {
    let trick = match distrusted {
        Distrusted::Wall => prop_oneof![
            (-20_000..20_000_i64).prop_map(Op::StepWall),
            (-90..90_i64).prop_map(Op::StepWall),
        ]
        .boxed(),
        Distrusted::Elapsed => spans().prop_map(Op::Pause).boxed(),
    };
    prop_oneof![
        6 => spans().prop_map(Op::Pass),
        1 => (60..300_000_u64).prop_map(|span| Op::Sleep(secs(span))),
        2 => trick,
        5 => sources().prop_map(Op::Source),
        6 => Just(Op::Read),
        4 => Just(Op::ReadAtTheEdge),
        1 => Just(Op::RefreshNow),
        2 => Just(Op::RejectHeld),
        1 => Just(Op::RejectOld),
        1 => (0..10_000_u64).prop_map(|life| Op::Adopt(secs(life))),
        1 => Just(Op::WakeForNothing),
    ]
}

/// Each of the two clocks covers for the other; nothing covers for both.
#[derive(Clone, Copy, Debug)]
enum Distrusted {
    Wall,
    Elapsed,
}

fn histories() -> impl Strategy<Value = (RefreshPolicy, u64, Clocks, Vec<Op>)> {
    let ahead = || (-7200..7200_i64).prop_map(|off| off * 1_000_000_000);
    prop_oneof![Just(Distrusted::Wall), Just(Distrusted::Elapsed)].prop_flat_map(
        move |distrusted| {
            let clocks = (0..1_000_000_000_i64, ahead(), ahead()).prop_map(
                |(truth, wall_ahead, issuer_ahead)| Clocks {
                    truth,
                    missed: 0,
                    wall_ahead,
                    issuer_ahead,
                },
            );
            (policies(), any::<u64>(), clocks, prop::collection::vec(ops(distrusted), 1..60))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No expired session, no two fetches, no live session thrown away, no busy loop, no fetch that
    /// no wake-up foretold, no more attempts than the schedule has, no lock-free reader served what
    /// a locked one is not.
    #[test]
    fn whatever_happens_the_promises_are_kept((policy, seed, clocks, ops) in histories()) {
        let mut shell = Shell::new(policy, seed, clocks);
        for op in &ops {
            shell.act(op);
        }
    }

    #[test]
    fn a_source_that_is_back_is_asked_within_the_backoff((policy, seed, clocks, ops) in histories()) {
        let mut shell = Shell::new(policy.clone(), seed, clocks);
        for op in &ops {
            shell.act(op);
        }
        // Answers under way may still fail.
        shell.source = Source {
            latency: Duration::ZERO,
            transit: Duration::ZERO,
            answer: Answer::Session(secs(7200)),
        };
        shell.run_for(secs(11));
        let Some(trouble) = shell.life.trouble(shell.now()) else { return Ok(()) };
        let held = shell.life.held().cloned();
        let is_due = shell.life.refresh_at().is_none_or(|at| shell.now().reached(at));
        if policy.mode() == RefreshMode::OnDemand && !is_due {
            // A refresh that was asked for ahead of its time has failed; its time comes.
            return Ok(());
        }
        let asked = trouble.failure.retry_after.unwrap_or_default().min(secs(300));
        let holds_off = shell.holds_off();
        let mut bound = match trouble.failure.kind {
            FailureKind::Unavailable | FailureKind::BadAnswer if holds_off => secs(600),
            FailureKind::Unavailable | FailureKind::BadAnswer => asked.max(secs(30)),
            FailureKind::Denied | FailureKind::Misconfigured => secs(66),
            FailureKind::NeedsPerson => {
                held.map_or(Duration::ZERO, |held| held.remaining(shell.now())) + secs(5)
            }
        };
        bound += SECOND;
        let before = (shell.life.counters().fetched, shell.clocks.truth);
        while shell.life.counters().fetched == before.0 {
            let waited = Duration::from_nanos((shell.clocks.truth - before.1).unsigned_abs());
            prop_assert!(waited <= bound, "{waited:?} of {bound:?}: {:?}", shell.life);
            shell.run_for(SECOND / 2);
            shell.read();
        }
        prop_assert!(matches!(shell.life.read(shell.now()), Read::Serve(_)));
    }

    /// The bound on attempts in the background does not depend on readers at all: with a source
    /// that fails and succeeds as it likes (but not for a reason that only a person mends), a
    /// thousand readers change nothing.
    #[test]
    fn readers_do_not_change_when_the_source_is_asked(
        seed in any::<u64>(),
        steps in prop::collection::vec((sources(), spans()), 1..12),
    ) {
        let mut quiet = Shell::new(RefreshPolicy::default(), seed, Clocks::default());
        let mut busy = Shell::new(RefreshPolicy::default(), seed, Clocks::default());
        for (mut source, span) in steps {
            match &mut source.answer {
                Answer::Fails { kind, .. } => *kind = FailureKind::Unavailable,
                Answer::Session(life) | Answer::SameKey(life) => *life = (*life).max(secs(10)),
                Answer::NoKey => {}
            }
            // So short a session ends before its refresh: then a reader, rightly, brings a fetch
            // about.
            quiet.act(&Op::Source(source.clone()));
            busy.act(&Op::Source(source));
            quiet.run_for(span);
            for _ in 0..100 {
                busy.run_for(span / 100);
                busy.read();
            }
            busy.run_for(span - span / 100 * 100);
            prop_assert_eq!(&quiet.begun, &busy.begun);
        }
    }
}

// What no clock shows, and no source should answer.

fn extreme_nanos() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        Just(i64::MIN + 1),
        Just(i64::MAX - 1),
        Just(0),
        -10_000_000_000..10_000_000_000_i64,
        any::<i64>(),
    ]
}

fn extreme_spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::MAX),
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        (0..100_000_u64).prop_map(secs),
        any::<u64>().prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

fn extreme_moments() -> impl Strategy<Value = Moment> {
    (extreme_nanos(), extreme_nanos()).prop_map(|(elapsed, wall)| Moment {
        elapsed: Elapsed::from_nanos(elapsed),
        wall: WallTime::from_unix_nanos(wall),
    })
}

fn extreme_issued() -> impl Strategy<Value = Issued> {
    let key = prop_oneof![3 => Just("ASIA1"), 2 => Just("ASIA2"), 1 => Just("")];
    (key, extreme_nanos(), prop::option::of(extreme_nanos())).prop_map(|(key, end, date)| {
        let credentials = Credentials::new(key, "the-secret", "the-token");
        let issued = Issued::new(credentials, WallTime::from_unix_nanos(end));
        match date {
            Some(date) => issued.with_issued_at(WallTime::from_unix_nanos(date)),
            None => issued,
        }
    })
}

#[derive(Clone, Debug)]
enum Verb {
    Read,
    Outcome(u64),
    Seen,
    Wake,
    Fetched(Issued),
    Failed(FailureKind, Option<Duration>, Option<i64>),
    Rejected(&'static str),
    Adopt(Issued, Moment, u64),
    RefreshNow,
}

fn verbs() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => Just(Verb::Read),
        1 => prop_oneof![Just(0), Just(u64::MAX), 0..5_u64].prop_map(Verb::Outcome),
        1 => Just(Verb::Seen),
        3 => Just(Verb::Wake),
        3 => extreme_issued().prop_map(Verb::Fetched),
        3 => (kinds(), prop::option::of(extreme_spans()), prop::option::of(extreme_nanos()))
            .prop_map(|(kind, retry_after, date)| Verb::Failed(kind, retry_after, date)),
        1 => prop_oneof![Just("ASIA1"), Just("ASIA2")].prop_map(Verb::Rejected),
        1 => (extreme_issued(), extreme_moments(), prop_oneof![Just(u64::MAX), 0..5_u64])
            .prop_map(|(issued, arrived, generation)| Verb::Adopt(issued, arrived, generation)),
        1 => Just(Verb::RefreshNow),
    ]
}

fn extreme_policies() -> impl Strategy<Value = RefreshPolicy> {
    let span = || prop::option::of(extreme_spans());
    (policies(), span(), span(), span(), any::<bool>(), extreme_spans()).prop_map(
        |(mut policy, advisory, mandatory, idle, expired, timeout)| {
            if let Some(advisory) = advisory {
                policy = policy.with_advisory_window(advisory);
            }
            if let Some(mandatory) = mandatory {
                policy = policy.with_mandatory_window(mandatory);
            }
            if let Some(idle) = idle {
                policy = policy.with_idle_after(idle);
            }
            policy.with_serve_expired(expired).with_attempt_timeout(timeout)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_sequence_of_verbs_and_no_moment_makes_it_panic(
        policy in extreme_policies(),
        seed in any::<u64>(),
        verbs in prop::collection::vec((extreme_moments(), verbs()), 1..40),
    ) {
        let mut life = Lifecycle::new(policy, seed);
        for (now, verb) in verbs {
            match verb {
                Verb::Read => drop(life.read(now)),
                Verb::Outcome(attempt) => drop(life.outcome(now, attempt)),
                Verb::Seen => life.seen(now),
                Verb::Wake => {
                    life.wake(now);
                }
                Verb::Fetched(issued) => life.fetched(now, issued),
                Verb::Failed(kind, retry_after, date) => {
                    let mut failure = Failure::new(kind, "no");
                    failure.retry_after = retry_after;
                    failure.issuer_now = date.map(WallTime::from_unix_nanos);
                    life.failed(now, failure);
                }
                Verb::Rejected(key) => life.rejected(now, key),
                Verb::Adopt(issued, arrived, generation) => {
                    life.adopt(now, Arc::new(Session::place(issued, arrived, generation)));
                }
                Verb::RefreshNow => life.refresh_now(),
            }
            let _ = (life.trouble(now), life.refresh_at(), format!("{life:?}"));
            let _ = life.wakeup().map(|wakeup| (wakeup.wait(now), wakeup.is_due(now)));
            if let Some(offer) = life.offer(now) {
                let _ = offer.session.expiration().to_string();
            }
            let _ = life.next_event();
        }
    }
}
