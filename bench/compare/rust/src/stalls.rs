//! What readers feel of a refresh, and of a source that is down while the session is valid.

use std::{io, time::Duration};

use aws_sdk_sts::config::RuntimeComponents;
use tokio::time::sleep;

use crate::{
    Options,
    contenders::{Kind, World},
    document::{Document, Figure, Series},
    watch::{STALL, watch},
};

const READERS: usize = 64;
const ROUNDS: usize = 3;

/// The watch begins so long before the session falls due,
const BEFORE: Duration = Duration::from_millis(500);
/// and is so long.
const LENGTH: Duration = Duration::from_millis(1_500);

/// The source goes down at the moment zero, half a second before the session falls due (the SDK's:
/// within three seconds), and comes back while what was held then is still valid.
const OUTAGE: Duration = Duration::from_secs(5);
const AFTER_OUTAGE: Duration = Duration::from_secs(1);
const OUTAGE_ROUNDS: usize = 2;

/// Of the rows about it, the one in which more is better.
const SERVED: &str = "reads served meanwhile";
/// The SDK's refresh point is random within 5 s; at its latest it is this much later.
const SDK_JITTER: Duration = Duration::from_secs(5);

pub(crate) async fn refresh(
    components: &RuntimeComponents,
    options: &Options,
    document: &mut Document,
) -> io::Result<()> {
    let mut seen: Vec<(Vec<f64>, Vec<f64>)> = vec![(Vec::new(), Vec::new()); Kind::ALL.len()];
    for round in 0..options.rounds(ROUNDS) {
        for (kind, (stalled, worst)) in Kind::ALL.into_iter().zip(&mut seen) {
            let timing = kind.soon();
            let (_world, reader) =
                World::with_one_that_holds(&options.program, kind, timing, components).await?;
            sleep(timing.due - BEFORE).await;
            // Whatever its moment is, it lies within.
            let length = if kind == Kind::Sdk { LENGTH + SDK_JITTER } else { LENGTH };
            let felt = watch(&reader, READERS, length).await;
            stalled.push(felt.stalled as f64);
            worst.push(felt.worst());
            if round == 0 {
                document.series(Series {
                    plot: "refresh",
                    who: kind.name(),
                    face: "library",
                    group: "Rust",
                    outage: None,
                    points: one_refresh(felt.points()),
                });
            }
        }
    }
    let what = format!("Rust, {READERS} tasks over a refresh, STS takes 100 ms");
    let named = || Kind::ALL.into_iter().map(Kind::name).zip(&seen);
    document.row(
        "stall at refresh",
        format!("{what}: tasks that wait for it"),
        "readers",
        named()
            .map(|(name, (stalled, _))| (name, Figure::of(stalled).noted(format!("of {READERS}")))),
    );
    document.row(
        "stall at refresh",
        format!("{what}: longest read"),
        "ms",
        named().map(|(name, (_, worst))| (name, Figure::of(worst))),
    );
    Ok(())
}

/// The points of half a second before somebody waited, and of a second from there; all of them, if
/// nobody did.
fn one_refresh(points: Vec<(f64, f64, u8)>) -> Vec<(f64, f64, u8)> {
    let stalled = points.iter().find(|(_, took, _)| *took >= STALL.as_secs_f64() * 1e3);
    let begin = stalled.map_or(0.0, |(at, _, _)| (at - BEFORE.as_secs_f64()).max(0.0));
    let shifted = points.into_iter().map(|(at, took, served)| (at - begin, took, served));
    shifted.filter(|(at, _, _)| (0.0..LENGTH.as_secs_f64()).contains(at)).collect()
}

/// What each round of one contender came to.
#[derive(Default)]
struct Outages {
    served: Vec<f64>,
    failed: Vec<f64>,
    calls: Vec<f64>,
    worst: Vec<f64>,
}

pub(crate) async fn outage(
    components: &RuntimeComponents,
    options: &Options,
    document: &mut Document,
) -> io::Result<()> {
    let mut seen = Kind::ALL.map(|_| Outages::default());
    for round in 0..options.rounds(OUTAGE_ROUNDS) {
        for (kind, seen) in Kind::ALL.into_iter().zip(&mut seen) {
            let timing = kind.with_time_left();
            let (world, reader) =
                World::with_one_that_holds(&options.program, kind, timing, components).await?;
            sleep(timing.due.saturating_sub(BEFORE)).await;
            world.sandbox.go_down()?;
            let watching = {
                let reader = reader.clone();
                tokio::spawn(async move { watch(&reader, READERS, OUTAGE + AFTER_OUTAGE).await })
            };
            sleep(OUTAGE).await;
            world.sandbox.come_back()?;
            let calls = world.sandbox.calls()?;
            let felt = watching.await.map_err(io::Error::other)?;
            seen.served.push(felt.served_within(OUTAGE) as f64);
            seen.failed.push(felt.failed() as f64);
            seen.calls.push(calls as f64);
            seen.worst.push(felt.worst());
            if round == 0 {
                document.series(Series {
                    plot: "source-down",
                    who: kind.name(),
                    face: "library",
                    group: "Rust",
                    outage: Some((0.0, OUTAGE.as_secs_f64())),
                    points: felt.points(),
                });
            }
        }
    }
    let what = format!(
        "Rust, {READERS} tasks, STS answers 503 for {} s while the session is valid",
        OUTAGE.as_secs()
    );
    let rows: [(&str, &str, fn(&Outages) -> &[f64]); 4] = [
        ("failed reads", "reads", |seen| &seen.failed),
        (SERVED, "reads", |seen| &seen.served),
        ("longest read", "ms", |seen| &seen.worst),
        ("calls of STS meanwhile", "calls", |seen| &seen.calls),
    ];
    for (told, unit, of) in rows {
        let named = Kind::ALL.into_iter().map(Kind::name).zip(&seen);
        let values = named.map(|(name, seen)| (name, Figure::of(of(seen))));
        document.row("source down", format!("{what}: {told}"), unit, values);
        if told == SERVED {
            document.more_is_better();
        }
    }
    Ok(())
}
