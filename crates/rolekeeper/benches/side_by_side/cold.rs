//! A thousand readers at once, and nothing held.

use std::{future::Future, sync::Arc, time::Duration};

use aws_sdk_sts::config::RuntimeComponents;
use aws_smithy_runtime::client::identity::IdentityCache as SdkCache;
use rolekeeper::{RefreshPolicy, RefreshableCredentials, adapters::IdentityCache};
use tokio::sync::Barrier;

use crate::{
    measure::monotonic,
    report::Row,
    sdk::Cached,
    source::{HOUR, Provider, Sts},
};

const READERS: usize = 1_000;
const DELAY: Duration = Duration::from_millis(100);

pub(crate) async fn rows(components: &RuntimeComponents) -> Vec<Row> {
    let sts = || Sts::new(DELAY, HOUR);
    let (background, on_demand, our_cache, sdk_cache) = (sts(), sts(), sts(), sts());
    let credentials = RefreshableCredentials::builder(Arc::clone(&background)).build();
    let last = all_at_once(move || {
        let credentials = credentials.clone();
        async move { credentials.get().await.is_ok() }
    })
    .await;
    let credentials = RefreshableCredentials::builder(Arc::clone(&on_demand))
        .policy(RefreshPolicy::on_demand())
        .build();
    all_at_once(move || {
        let credentials = credentials.clone();
        async move { credentials.get().await.is_ok() }
    })
    .await;
    let cached = Cached::new(IdentityCache::new(), Provider(Arc::clone(&our_cache)), components);
    all_at_once(move || {
        let cached = cached.clone();
        async move { cached.identity().await.is_ok() }
    })
    .await;
    let lazy = SdkCache::lazy().build();
    let cached = Cached::new(lazy, Provider(Arc::clone(&sdk_cache)), components);
    let sdk_last = all_at_once(move || {
        let cached = cached.clone();
        async move { cached.identity().await.is_ok() }
    })
    .await;

    let ours = [&background, &on_demand, &our_cache].map(|sts| sts.calls());
    let [background, on_demand, our_cache] = ours;
    vec![Row {
        what: "cold start, 1,000 readers at once".into(),
        must_be: "1 source call".into(),
        ratios: format!(
            "source calls: {background}; on demand {on_demand}; adapters::IdentityCache \
             {our_cache}; SDK's cache {}",
            sdk_cache.calls()
        ),
        absolute: format!(
            "the last reader has it after {:.0} ms (source: 100 ms); SDK's cache {:.0} ms",
            last.as_secs_f64() * 1e3,
            sdk_last.as_secs_f64() * 1e3
        ),
        met: Some(ours == [1, 1, 1]),
    }]
}

/// From the moment when all may begin until the last one has been served.
async fn all_at_once<F>(read: impl Fn() -> F) -> Duration
where
    F: Future<Output = bool> + Send + 'static,
{
    let gate = Arc::new(Barrier::new(READERS + 1));
    let tasks: Vec<_> = (0..READERS)
        .map(|_| {
            let (gate, read) = (Arc::clone(&gate), read());
            tokio::spawn(async move {
                gate.wait().await;
                read.await
            })
        })
        .collect();
    gate.wait().await;
    let before = monotonic();
    for task in tasks {
        assert!(task.await.expect("it only reads"), "the source works");
    }
    monotonic() - before
}
