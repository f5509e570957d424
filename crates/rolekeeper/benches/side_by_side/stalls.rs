//! What readers feel of a refresh, and of a source that fails.

use std::{future::Future, sync::Arc, time::Duration};

use aws_sdk_sts::config::RuntimeComponents;
use aws_smithy_runtime::client::identity::IdentityCache as SdkCache;
use rolekeeper::RefreshableCredentials;
use tokio::time::sleep;

use crate::{
    measure::{median, monotonic, quantile, sorted},
    report::Row,
    sdk::Cached,
    source::{HOUR, Provider, Sts},
};

const READERS: usize = 64;
const ROUNDS: usize = 8;
const DELAY: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_millis(500);
/// So that the refresh lies in the middle of the readers' window.
const BEFORE_REFRESH: Duration = Duration::from_millis(100);
/// Between two reads of one reader.
const PAUSE: Duration = Duration::from_millis(1);
/// Whoever waits this long has waited for the source, not for a CPU.
const STALL: Duration = Duration::from_millis(50);

/// The SDK's cache asks anew 10 ms to 5 ms before a session's end, and so once or twice in a
/// window.
const SDK_LIFETIME: Duration = Duration::from_millis(300);
const SDK_BUFFER: Duration = Duration::from_millis(10);

/// How long a failing source is looked at.
const OUTAGE: Duration = Duration::from_secs(4);
/// The jitter of the backoff, the same for one reader and for all.
const SEED: u64 = 7;
/// Less than the SDK's own buffer time of 10 s: the session is valid, and the cache wants another.
const LITTLE_LEFT: Duration = Duration::from_secs(5);

/// Whoever can be read, told by whether it gave credentials.
trait Read: Clone + Send + 'static {
    fn read(&self) -> impl Future<Output = bool> + Send;
}

impl Read for RefreshableCredentials {
    async fn read(&self) -> bool {
        self.get().await.is_ok()
    }
}

impl Read for Cached {
    async fn read(&self) -> bool {
        self.identity().await.is_ok()
    }
}

/// What the readers of one window felt.
#[derive(Default)]
struct Felt {
    /// Seconds, ascending.
    latencies: Vec<f64>,
    failed: usize,
    stalled_readers: usize,
}

async fn read_for(window: Duration, readers: usize, from: &impl Read) -> Felt {
    let end = monotonic() + window;
    let tasks: Vec<_> = (0..readers)
        .map(|_| {
            let from = from.clone();
            tokio::spawn(async move {
                let (mut latencies, mut failed) = (Vec::new(), 0);
                while monotonic() < end {
                    let before = monotonic();
                    failed += usize::from(!from.read().await);
                    latencies.push((monotonic() - before).as_secs_f64());
                    sleep(PAUSE).await;
                }
                (latencies, failed)
            })
        })
        .collect();
    let mut felt = Felt::default();
    for task in tasks {
        let (latencies, failed) = task.await.expect("it only reads");
        felt.failed += failed;
        let worst = latencies.iter().copied().fold(0.0, f64::max);
        felt.stalled_readers += usize::from(worst >= STALL.as_secs_f64());
        felt.latencies.extend(latencies);
    }
    felt.latencies = sorted(felt.latencies);
    felt
}

pub(crate) async fn rows(components: &RuntimeComponents) -> Vec<Row> {
    vec![refresh(components).await, outage(components).await]
}

async fn refresh(components: &RuntimeComponents) -> Row {
    let sts = Sts::new(DELAY, HOUR);
    let credentials = RefreshableCredentials::builder(Arc::clone(&sts)).build();
    credentials.get().await.expect("the source works");
    let provider = Provider(Sts::new(DELAY, SDK_LIFETIME));
    let cache = SdkCache::lazy().buffer_time(SDK_BUFFER).build();
    let sdk = Cached::new(cache, provider, components);
    sdk.identity().await.expect("the source works");

    let (mut quiet, mut refreshed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(read_for(WINDOW, READERS, &credentials).await);
        let refresher = credentials.clone();
        let refreshing = tokio::spawn(async move {
            sleep(BEFORE_REFRESH).await;
            refresher.refresh_now().await.expect("the source works");
        });
        refreshed.push(read_for(WINDOW, READERS, &credentials).await);
        refreshing.await.expect("the refresh lies within the window");
        others.push(read_for(WINDOW, READERS, &sdk).await);
    }
    assert_eq!(sts.calls(), 1 + ROUNDS as u64, "each window had its refresh, and no other");

    let stalled = |all: &[Felt]| median(all.iter().map(|felt| felt.stalled_readers as f64));
    let most_stalled = refreshed.iter().map(|felt| felt.stalled_readers).max().unwrap_or(0);
    let noise = worst(&quiet).last().copied().unwrap_or(0.0);
    let [quiet_worst, worst, sdk_worst] =
        [&quiet, &refreshed, &others].map(|all| quantile(&worst(all), 0.5));
    let p999 = |all: &[Felt]| median(all.iter().map(|felt| quantile(&felt.latencies, 0.999)));
    Row {
        what: format!("{READERS} readers over a refresh with a 100 ms source"),
        must_be: "nobody waits: the worst read within the noise of a run with no refresh; the \
                  SDK's cache: 64 wait 100 ms"
            .into(),
        ratios: format!(
            "worst read {:.2} × that without a refresh; stalled: {most_stalled} of {READERS}; with \
             the SDK's cache {:.0} of {READERS}, worst {:.0} × ours",
            worst / quiet_worst,
            stalled(&others),
            sdk_worst / worst
        ),
        absolute: format!(
            "worst {} (without {}, at most {}; SDK {}); p99.9 {} (without {}; SDK {})",
            time(worst),
            time(quiet_worst),
            time(noise),
            time(sdk_worst),
            time(p999(&refreshed)),
            time(p999(&quiet)),
            time(p999(&others))
        ),
        met: Some(most_stalled == 0 && worst <= noise),
    }
}

/// The worst read of each window, ascending.
fn worst(all: &[Felt]) -> Vec<f64> {
    sorted(all.iter().filter_map(|felt| felt.latencies.last().copied()))
}

async fn outage(components: &RuntimeComponents) -> Row {
    let (one, calls_of_one) = through_an_outage(1).await;
    let (all, calls_of_all) = through_an_outage(READERS).await;
    let sdk_sts = Sts::new(DELAY, LITTLE_LEFT);
    let sdk = Cached::new(SdkCache::lazy().build(), Provider(Arc::clone(&sdk_sts)), components);
    sdk.identity().await.expect("the source works yet");
    sdk_sts.go_down();
    let sdk_felt = read_for(OUTAGE, READERS, &sdk).await;

    let failed = one.failed + all.failed;
    Row {
        what: "the same, source failing".into(),
        must_be: "0 failed reads while the session is valid; source calls follow the backoff, not \
                  the readers"
            .into(),
        ratios: format!(
            "failed: {failed} of {} reads; source calls: {calls_of_all} with {READERS} readers, \
             {calls_of_one} with 1",
            all.latencies.len() + one.latencies.len()
        ),
        absolute: format!(
            "in {} s, worst read {}; the SDK's cache: {} of {} reads failed, {} source calls, worst \
             read {}",
            OUTAGE.as_secs(),
            time(quantile(&all.latencies, 1.0)),
            sdk_felt.failed,
            sdk_felt.latencies.len(),
            sdk_sts.calls() - 1,
            time(quantile(&sdk_felt.latencies, 1.0))
        ),
        met: Some(failed == 0 && calls_of_all.abs_diff(calls_of_one) <= 1),
    }
}

/// What the readers felt, and how often the source was asked meanwhile.
async fn through_an_outage(readers: usize) -> (Felt, u64) {
    let sts = Sts::new(DELAY, HOUR);
    let credentials = RefreshableCredentials::builder(Arc::clone(&sts)).seed(SEED).build();
    credentials.get().await.expect("the source works yet");
    sts.go_down();
    let refresher = credentials.clone();
    let first = tokio::spawn(async move { refresher.refresh_now().await.is_err() });
    let felt = read_for(OUTAGE, readers, &credentials).await;
    assert!(first.await.expect("it only waits"), "the source is down");
    (felt, sts.calls() - 1)
}

fn time(seconds: f64) -> String {
    let micros = seconds * 1e6;
    if micros < 10.0 {
        format!("{micros:.1} µs")
    } else if micros < 1_000.0 {
        format!("{micros:.0} µs")
    } else if micros < 10_000.0 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{:.0} ms", micros / 1e3)
    }
}
