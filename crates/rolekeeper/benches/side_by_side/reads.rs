//! What one read of a valid session costs.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_sdk_sts::config::RuntimeComponents;
use aws_smithy_runtime::client::identity::IdentityCache as SdkCache;
use rolekeeper::{RefreshableCredentials, adapters::IdentityCache};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::{
    measure::{Contender, Race},
    report::Row,
    sdk::Cached,
    source::{HOUR, Provider, Sts},
};

const ROUNDS: usize = 101;
const MOST_TIMES_FLOOR: f64 = 1.5;
const LEAST_TIMES_SDK: f64 = 15.0;

#[cfg(target_os = "linux")]
const COARSE: ClockId = ClockId::RealtimeCoarse;
#[cfg(not(target_os = "linux"))]
const COARSE: ClockId = ClockId::Realtime;

// The contenders, in their order.
const FLOOR: usize = 0;
const CURRENT: usize = 1;
const GET: usize = 2;
const OUR_CACHE: usize = 3;
const PROVIDER: usize = 4;
const SDK_CACHE: usize = 5;

pub(crate) fn rows(runtime: &Runtime, components: &RuntimeComponents) -> Vec<Row> {
    let handle = runtime.handle();
    let _inside = handle.enter();
    let sts = || Sts::new(Duration::ZERO, HOUR);
    let credentials = RefreshableCredentials::builder(sts()).build();
    let (held, provider) = (credentials.clone(), credentials.clone());
    let first = runtime.block_on(async move { held.get().await.expect("the source works") });
    let floor = ArcSwap::new(first.share());
    let our_cache = Cached::new(IdentityCache::new(), Provider(sts()), components);
    let provided = Cached::new(SdkCache::no_cache(), provider, components);
    let sdk_cache = Cached::new(SdkCache::lazy().build(), Provider(sts()), components);
    for cached in [&our_cache, &provided, &sdk_cache] {
        runtime.block_on(cached.identity()).expect("the source works");
    }

    let contenders = [
        Contender::new(|| {
            let loaded = floor.load();
            black_box(clock_gettime(COARSE));
            black_box(&loaded);
        }),
        Contender::new(|| {
            black_box(&credentials.current());
        }),
        Contender::new(|| {
            black_box(&at_once(credentials.get()));
        }),
        Contender::new(|| {
            black_box(&at_once(our_cache.identity()));
        }),
        Contender::new(|| {
            black_box(&at_once(provided.identity()));
        }),
        Contender::new(|| {
            black_box(&at_once(sdk_cache.identity()));
        }),
    ];
    let races = [(1, "one thread"), (8, "eight threads")];
    let races =
        races.map(|(threads, told)| (Race::run(&contenders, threads, ROUNDS, handle), told));
    let required = races.iter().map(|(race, told)| current(race, told));
    required.chain(races.iter().map(|(race, told)| others(race, told))).collect()
}

fn current(race: &Race, threads: &str) -> Row {
    let (floor, sdk) = (race.ratio(CURRENT, FLOOR), race.ratio(SDK_CACHE, CURRENT));
    Row {
        what: format!("current(), valid session, {threads}"),
        must_be:
            "≤ 1.5 × (ArcSwap::load + a coarse clock read); ≥ 15 × faster than the SDK's cache"
                .into(),
        ratios: format!("{floor:.2} × the floor; {sdk:.1} × faster than the SDK's cache"),
        absolute: format!(
            "{:.1} ns CPU a call; floor {:.1}, SDK's cache {:.0}",
            race.median(CURRENT),
            race.median(FLOOR),
            race.median(SDK_CACHE)
        ),
        met: Some(floor <= MOST_TIMES_FLOOR && sdk >= LEAST_TIMES_SDK),
    }
}

fn others(race: &Race, threads: &str) -> Row {
    let faster = |contender| race.ratio(SDK_CACHE, contender);
    let nanos = |contender| race.median(contender);
    Row {
        what: format!("other ways to read, {threads}"),
        must_be: "reported".into(),
        ratios: format!(
            "faster than the SDK's cache: get().await {:.1} ×, adapters::IdentityCache {:.1} ×, \
             ProvideCredentials {:.1} ×",
            faster(GET),
            faster(OUR_CACHE),
            faster(PROVIDER)
        ),
        absolute: format!(
            "{:.1}, {:.0} and {:.0} ns CPU a call",
            nanos(GET),
            nanos(OUR_CACHE),
            nanos(PROVIDER)
        ),
        met: None,
    }
}

/// The result of a future that has nothing to wait for.
#[inline]
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a session is held and valid for an hour"),
    }
}
