//! How often the source is asked: sessions of 15 minutes, and a thousand readers at once.

use std::{io, sync::Arc, time::Duration};

use aws_sdk_sts::config::RuntimeComponents;
use tokio::sync::Barrier;

use crate::{
    Options,
    contenders::{HOUR, Kind, Reader, World},
    document::{Document, Figure},
    measure::monotonic,
    sandbox::{LATENCY, Sandbox},
};

const READS: usize = 1_000;
const READERS: usize = 1_000;
const ROUNDS: usize = 3;

/// What is left of the shortest session that STS issues, 15 minutes, when its answer arrives.
const SHORTEST: u64 = 899;

pub(crate) async fn measure(
    components: &RuntimeComponents,
    options: &Options,
    document: &mut Document,
) -> io::Result<()> {
    let mut short = Kind::ALL.map(|_| Vec::new());
    let mut cold = Kind::ALL.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..options.rounds(ROUNDS) {
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            let sandbox = Sandbox::start(&options.program, SHORTEST, Duration::ZERO)?;
            let world = World::around(sandbox, components).await?;
            let reader = world.reader(kind).await?;
            for _ in 0..READS {
                reader.read().await;
            }
            short[position].push(world.sandbox.calls()? as f64);

            let sandbox = Sandbox::start(&options.program, HOUR, LATENCY)?;
            let world = World::around(sandbox, components).await?;
            let last = all_at_once(&world.reader(kind).await?).await?;
            cold[position].0.push(world.sandbox.calls()? as f64);
            cold[position].1.push(last.as_secs_f64() * 1e3);
        }
    }
    let names = || Kind::ALL.into_iter().map(Kind::name);
    document.row(
        "source calls",
        "Rust, 1,000 reads of sessions of 15 minutes, a second less: calls of STS",
        "calls",
        names().zip(&short).map(|(name, calls)| (name, Figure::of(calls))),
    );
    document.row(
        "source calls",
        "Rust, cold start of 1,000 tasks at once, STS takes 100 ms: calls",
        "calls",
        names().zip(&cold).map(|(name, (calls, _))| (name, Figure::of(calls))),
    );
    document.row(
        "source calls",
        "Rust, cold start of 1,000 tasks at once, STS takes 100 ms: until the last is served",
        "ms",
        names().zip(&cold).map(|(name, (_, last))| (name, Figure::of(last))),
    );
    Ok(())
}

/// From the moment when all may begin until the last one has been served.
async fn all_at_once(reader: &Reader) -> io::Result<Duration> {
    let gate = Arc::new(Barrier::new(READERS + 1));
    let tasks: Vec<_> = (0..READERS)
        .map(|_| {
            let (gate, reader) = (Arc::clone(&gate), reader.clone());
            tokio::spawn(async move {
                gate.wait().await;
                reader.read().await
            })
        })
        .collect();
    gate.wait().await;
    let before = monotonic();
    for task in tasks {
        if !task.await.map_err(io::Error::other)? {
            return Err(io::Error::other("a read failed at a cold start"));
        }
    }
    Ok(monotonic() - before)
}
