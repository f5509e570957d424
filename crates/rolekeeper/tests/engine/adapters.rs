//! The real STS client of the AWS SDK over ours, with an HTTP client that only notes who signed.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials as SdkCredentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts::{
    Client,
    config::{BehaviorVersion, IdentityCache as SdkIdentityCache, Region},
};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use aws_types::{SdkConfig, sdk_config::SharedCredentialsProvider};
use rolekeeper::{Clock, RefreshPolicy, adapters::IdentityCache, clock::Simulated};

use crate::support::{
    Answer, HOUR, MINUTE, SECRET, Script, all_at_once, denied, down, pass, settle,
};

const ANSWER: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/demo/me</Arn>
<UserId>AROA:me</UserId><Account>123456789012</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#;

/// Answers anything, and notes the access key id of each signature.
#[derive(Clone, Debug, Default)]
struct Service {
    signed_by: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn last_key(&self) -> String {
        self.signed_by.lock().unwrap().last().unwrap().clone()
    }
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let signature = request.headers().get("authorization").unwrap_or_default();
        let key = signature.split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        self.signed_by.lock().unwrap().push(key.unwrap_or_default().to_owned());
        let status = StatusCode::try_from(200).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(ANSWER))))
    }
}

impl HttpClient for Service {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A credentials provider of the SDK's kind.
#[derive(Clone, Debug)]
struct Provider(Arc<Provides>);

#[derive(Debug)]
struct Provides {
    clock: Simulated,
    calls: Mutex<usize>,
    fails: Mutex<bool>,
    life: Option<Duration>,
    takes: Duration,
}

impl Provider {
    fn new(clock: &Simulated, life: Option<Duration>, takes: Duration) -> Self {
        let (calls, fails) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Provides { clock: clock.clone(), calls, fails, life, takes }))
    }

    fn calls(&self) -> usize {
        *self.0.calls.lock().unwrap()
    }

    fn fail(&self, fails: bool) {
        *self.0.fails.lock().unwrap() = fails;
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let number = {
                let mut calls = self.0.calls.lock().unwrap();
                *calls += 1;
                *calls
            };
            tokio::time::sleep(self.0.takes).await;
            if *self.0.fails.lock().unwrap() {
                return Err(CredentialsError::provider_error("the vault is sealed"));
            }
            let expiry =
                self.0.life.map(|life| SystemTime::from(self.0.clock.now().wall.after(life)));
            let key = format!("ASIA{number:04}");
            Ok(SdkCredentials::new(key, SECRET, Some(SECRET.into()), expiry, "test"))
        })
    }
}

/// A configuration as a program makes it, for any client.
fn config(
    provider: impl ProvideCredentials + 'static,
    cache: IdentityCache,
    service: &Service,
) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .identity_cache(cache)
        .http_client(service.clone())
        .build()
}

fn cache(clock: &Simulated) -> IdentityCache {
    IdentityCache::new().with_clock(Clock::Simulated(clock.clone()))
}

async fn ask(client: &Client) -> Result<(), String> {
    let answer = client.get_caller_identity().send().await;
    answer.map(|_| ()).map_err(|error| format!("{error:?}"))
}

#[tokio::test(start_paused = true)]
async fn an_sdk_client_signs_with_the_newest_session() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let service = Service::default();
    let credentials = script.kept();
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials.clone())
        .identity_cache(SdkIdentityCache::no_cache())
        .http_client(service.clone())
        .build();
    let client = Client::from_conf(config);
    for generation in 1..=5 {
        ask(&client).await.unwrap();
        assert_eq!(service.last_key(), format!("ASIA{generation:04}"));
        credentials.refresh_now().await.unwrap();
    }
    script.answers(Answer::Fails(down()));
    pass(50 * MINUTE).await;
    ask(&client).await.unwrap();
    pass(10 * MINUTE).await;
    let error = ask(&client).await.unwrap_err();
    assert!(error.contains("connection refused") && !error.contains(SECRET), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_sdks_form_says_what_is_known_of_the_session() {
    let clock = Simulated::new();
    let credentials = Script::new(&clock).kept();
    let provided = credentials.provide_credentials().await.unwrap();
    assert_eq!(provided.access_key_id(), "ASIA0001");
    assert_eq!(provided.expiry(), Some(SystemTime::from(clock.now().wall.after(HOUR))));
    assert_eq!(provided.account_id().map(|id| id.as_str()), Some("123456789012"));
    assert!(credentials.fallback_on_interrupt().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_the_sdk_as_one() {
    let script = Script::new(&Simulated::new());
    script.answers(Answer::Fails(denied()));
    let credentials = script.kept();
    let error = credentials.provide_credentials().await.unwrap_err();
    assert!(matches!(error, CredentialsError::ProviderError(_)), "{error:?}");
    assert!(credentials.fallback_on_interrupt().is_none());
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_cost_one_resolver_call() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::from_secs(1));
    let service = Service::default();
    let config = config(provider.clone(), cache(&clock), &service);
    // Two clients, as a program has them.
    let clients = [Client::new(&config), Client::new(&config)];
    let request = |number: usize| {
        let client = clients[number % 2].clone();
        async move { ask(&client).await }
    };
    for (took, answer) in all_at_once(&clock, (0..64).map(request)).await {
        answer.unwrap();
        assert!(took < Duration::from_millis(1100), "{took:?}");
    }
    assert_eq!(provider.calls(), 1);
    assert_eq!(service.signed_by.lock().unwrap().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn identities_are_refreshed_in_the_background_and_no_request_waits() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::from_secs(1));
    let service = Service::default();
    let client = Client::new(&config(provider.clone(), cache(&clock), &service));
    ask(&client).await.unwrap();
    pass(40 * MINUTE).await;
    assert_eq!(provider.calls(), 2, "without a request");
    for _ in 0..300 {
        let start = clock.now().elapsed;
        ask(&client).await.unwrap();
        assert_eq!(clock.now().elapsed.since(start), Duration::ZERO);
        pass(MINUTE).await;
    }
    ask(&client).await.unwrap();
    // The next one may be under way at this moment.
    let newest = [0, 1].map(|less| format!("ASIA{:04}", provider.calls() - less));
    assert!(newest.contains(&service.last_key()), "{newest:?}: {}", service.last_key());
}

#[tokio::test(start_paused = true)]
async fn a_providers_error_is_not_felt_while_an_identity_is_valid() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::ZERO);
    let service = Service::default();
    let client = Client::new(&config(provider.clone(), cache(&clock), &service));
    ask(&client).await.unwrap();
    provider.fail(true);
    for _ in 0..59 {
        pass(MINUTE).await;
        ask(&client).await.unwrap();
        assert_eq!(service.last_key(), "ASIA0001");
    }
    pass(2 * MINUTE).await;
    let error = ask(&client).await.unwrap_err();
    assert!(error.contains("the vault is sealed"), "{error}");
    provider.fail(false);
    pass(MINUTE).await;
    ask(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_first_identity_share_its_error() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::from_secs(1));
    provider.fail(true);
    let service = Service::default();
    let config = config(provider.clone(), cache(&clock), &service);
    let client = Client::new(&config);
    let request = |_| {
        let client = client.clone();
        async move { ask(&client).await }
    };
    for (took, answer) in all_at_once(&clock, (0..16).map(request)).await {
        assert!(answer.unwrap_err().contains("the vault is sealed"));
        assert!(took < Duration::from_millis(1100), "{took:?}");
    }
    assert_eq!(provider.calls(), 1);
    provider.fail(false);
    ask(&client).await.unwrap();
    assert_eq!(service.last_key(), "ASIA0002");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_gives_up_does_not_hold_up_the_others() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::from_secs(5));
    let client = Client::new(&config(provider.clone(), cache(&clock), &Service::default()));
    let hasty = tokio::time::timeout(Duration::from_secs(1), ask(&client)).await;
    assert!(hasty.is_err());
    ask(&client).await.unwrap();
    settle().await;
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn identities_that_do_not_expire_pass_through() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, None, Duration::ZERO);
    let service = Service::default();
    let client = Client::new(&config(provider.clone(), cache(&clock), &service));
    for calls in 1..=5 {
        ask(&client).await.unwrap();
        assert_eq!((provider.calls(), service.last_key()), (calls, format!("ASIA{calls:04}")));
    }
    pass(24 * HOUR).await;
    assert_eq!(provider.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_cache_takes_a_policy() {
    let clock = Simulated::new();
    let provider = Provider::new(&clock, Some(HOUR), Duration::ZERO);
    let cache = IdentityCache::with_policy(RefreshPolicy::on_demand());
    let cache = cache.with_clock(Clock::Simulated(clock.clone()));
    let client = Client::new(&config(provider.clone(), cache, &Service::default()));
    ask(&client).await.unwrap();
    pass(10 * HOUR).await;
    assert_eq!(provider.calls(), 1);
    ask(&client).await.unwrap();
    assert_eq!(provider.calls(), 2);
}
