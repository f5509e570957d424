//! What one read of a valid session costs: CPU time of the reading thread, in turns.

use std::{
    future::Future,
    hint::black_box,
    io,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use aws_sdk_sts::config::RuntimeComponents;
use rolekeeper::adapters::IdentityCache;
use tokio::runtime::Runtime;

use crate::{
    Options,
    contenders::{HOUR, Kind, Reader, World},
    document::{Document, Figure, OBJECT_STORE, OURS, SDK},
    measure::{Contender as Turn, Race},
    sandbox::Sandbox,
};

const ROUNDS: usize = 51;
const THREADS: [(usize, &str); 2] = [(1, "one thread"), (8, "eight threads")];

pub(crate) fn measure(
    runtime: &Runtime,
    components: &RuntimeComponents,
    options: &Options,
    document: &mut Document,
) -> io::Result<()> {
    let _inside = runtime.enter();
    let sandbox = Sandbox::start(&options.program, HOUR, Duration::ZERO)?;
    let world = runtime.block_on(World::around(sandbox, components))?;
    let reader = |kind| runtime.block_on(world.reader(kind));
    let ours = reader(Kind::Ours)?;
    let sdk = reader(Kind::Sdk)?;
    let object_store = reader(Kind::ObjectStore)?;
    let in_a_client = Reader::Sdk(runtime.block_on(world.cached(IdentityCache::new())));
    for held in [&ours, &sdk, &object_store, &in_a_client] {
        if !runtime.block_on(held.read()) {
            return Err(io::Error::other("the sandbox gave no session"));
        }
    }
    let turns = [
        Turn::new(|| {
            black_box(&at_once(ours.read()));
        }),
        Turn::new(|| {
            black_box(&at_once(sdk.read()));
        }),
        Turn::new(|| {
            black_box(&at_once(object_store.read()));
        }),
        Turn::new(|| {
            black_box(&at_once(in_a_client.read()));
        }),
    ];
    for (threads, told) in THREADS {
        let race = Race::run(&turns, threads, options.rounds(ROUNDS), runtime.handle());
        let figure = |contender| Figure::of(race.figures(contender));
        document.row(
            "hot reads",
            format!("Rust, a valid session, {told}: CPU a read"),
            "ns",
            [(OURS, figure(0)), (SDK, figure(1)), (OBJECT_STORE, figure(2))],
        );
        document.row(
            "hot reads",
            format!(
                "Rust, the same as a client of the AWS SDK asks for it, {told} \
                 (`adapters::IdentityCache`): CPU a read"
            ),
            "ns",
            [(OURS, figure(3)), (SDK, figure(1))],
        );
    }
    Ok(())
}

/// The result of a future that has nothing to wait for.
#[inline]
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a session is held and valid for an hour"),
    }
}
