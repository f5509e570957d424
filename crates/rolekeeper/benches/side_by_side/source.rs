//! The STS of this benchmark: a source for us and a provider for the SDK, as slow and as broken as
//! a row wants it, and counting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials as SdkCredentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use rolekeeper::{Clock, Credentials, Failure, Issued, Source, WallTime, sources::Fetch};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// As long as the secrets that STS gives.
const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00";
const TOKEN_LENGTH: usize = 360;

#[derive(Debug)]
pub(crate) struct Sts {
    delay: Duration,
    lifetime: Duration,
    account: Option<String>,
    calls: AtomicU64,
    is_down: AtomicBool,
}

/// The same for the SDK.
#[derive(Clone, Debug)]
pub(crate) struct Provider(pub(crate) Arc<Sts>);

// === impl Sts ===

impl Sts {
    /// Answers after `delay` with sessions of `lifetime`.
    pub(crate) fn new(delay: Duration, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self::of_account(delay, lifetime, None))
    }

    pub(crate) fn of_account(delay: Duration, lifetime: Duration, account: Option<String>) -> Self {
        let (calls, is_down) = Default::default();
        Self { delay, lifetime, account, calls, is_down }
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// From now on it answers with errors, as slowly as before.
    pub(crate) fn go_down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    async fn answer(&self) -> Result<(String, WallTime), &'static str> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if self.is_down.load(Ordering::Relaxed) {
            return Err("503 Service Unavailable");
        }
        Ok((format!("ASIA{call:016}"), Clock::System.now().wall.after(self.lifetime)))
    }
}

impl Source for Sts {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let (key, end) = self.answer().await.map_err(Failure::unavailable)?;
            Ok(Issued::new(Credentials::new(key, SECRET, "t".repeat(TOKEN_LENGTH)), end))
        })
    }

    fn name(&self) -> String {
        "arn:aws:iam::123456789012:role/side-by-side".into()
    }

    fn account(&self) -> Option<String> {
        self.account.clone()
    }
}

// === impl Provider ===

impl Provider {
    async fn provide(&self) -> provider::Result {
        let (key, end) = self.0.answer().await.map_err(CredentialsError::provider_error)?;
        let (token, end) = (Some("t".repeat(TOKEN_LENGTH)), Some(SystemTime::from(end)));
        Ok(SdkCredentials::new(key, SECRET, token, end, "side-by-side"))
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}
