//! Sessions from code of your own: an async function, a blocking one, or any `ProvideCredentials`.

use std::{
    any::Any,
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use rolekeeper_core::{Credentials, Failure, Issued, WallTime};

use super::{Fetch, Source, base_failure};
use crate::Clock;

/// How long credentials that never expire are taken to last: half of it, and they are asked for
/// again, so that a rotated key is noticed within about half an hour. 1 h.
pub const UNDATED_LIFETIME: Duration = Duration::from_secs(3600);

/// A function that makes a session.
///
/// What it returns as an error becomes a [`Failure`]: one that *is* a `Failure` (or a
/// [`rolekeeper::Error`](crate::Error)) stays as it is, boxed or not; any other is [`Unavailable`],
/// with its text. A panic becomes [`BadAnswer`]. An answer with an empty key id or secret is
/// refused; an empty session token is not, since long-term keys have none.
///
/// ```
/// use rolekeeper::{Credentials, Issued, WallTime, sources::Callback};
///
/// let vault = Callback::new("vault", || async {
///     // … ask your own service …
///     let credentials = Credentials::new("ASIAEXAMPLE", "secret", "token");
///     Ok::<_, std::io::Error>(Issued::new(credentials, WallTime::from_unix_secs(1_900_000_000)))
/// });
/// ```
///
/// [`Unavailable`]: rolekeeper_core::FailureKind::Unavailable
/// [`BadAnswer`]: rolekeeper_core::FailureKind::BadAnswer
#[derive(Clone)]
pub struct Callback {
    name: Arc<str>,
    call: Arc<Call>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Issued, Failure>> + Send>>;
type Call = dyn Fn() -> Answer + Send + Sync;

/// Any credentials provider of the AWS SDK as a source.
///
/// Credentials without an expiry are refused as a
/// [`BadAnswer`](rolekeeper_core::FailureKind::BadAnswer), since they could end at any moment; say
/// [`never_expires`](Self::never_expires) of a provider of long-term keys.
///
/// ```
/// use aws_credential_types::Credentials;
/// use rolekeeper::sources::FromProvider;
///
/// let keys = Credentials::from_keys("AKIAEXAMPLE", "secret", None);
/// let source = FromProvider::new("keys", keys).never_expires();
/// ```
#[derive(Clone, Debug)]
pub struct FromProvider {
    name: Arc<str>,
    provider: SharedCredentialsProvider,
    never_expires: bool,
}

// === impl Callback ===

impl Callback {
    /// An async function. `name` is what messages call it.
    pub fn new<F, Fut, E>(name: impl Into<Arc<str>>, call: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Issued, E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        let call = Arc::new(call);
        let call: Arc<Call> = Arc::new(move || {
            let call = Arc::clone(&call);
            Box::pin(async move {
                let answer = caught(async move { call().await.map_err(failure_of) }).await;
                answer.unwrap_or_else(|| Err(panicked()))
            })
        });
        Self { name: name.into(), call }
    }

    /// A function that may block. It runs on a thread for blocking work; if the fetch is given up,
    /// it goes on there and its answer is dropped.
    pub fn blocking<F, E>(name: impl Into<Arc<str>>, call: F) -> Self
    where
        F: Fn() -> Result<Issued, E> + Send + Sync + 'static,
        E: fmt::Display + 'static,
    {
        let call = Arc::new(move || call().map_err(failure_of));
        let call: Arc<Call> = Arc::new(move || {
            let call = Arc::clone(&call);
            Box::pin(async move {
                match tokio::task::spawn_blocking(move || call()).await {
                    Ok(answer) => answer,
                    Err(error) if error.is_panic() => Err(panicked()),
                    Err(_) => Err(Failure::unavailable("the runtime was shut down meanwhile")),
                }
            })
        });
        Self { name: name.into(), call }
    }
}

impl Source for Callback {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async move { (self.call)().await.and_then(complete) })
    }

    fn name(&self) -> String {
        self.name.as_ref().to_owned()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callback").field(&self.name).finish()
    }
}

/// Runs `future`; `None` if it panics, at once or when polled.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // After a panic the future is not polled again, only dropped.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        }
    })
    .await
}

/// The text of the panic is left to the panic hook: it could show what the function held.
fn panicked() -> Failure {
    Failure::bad_answer("the function that makes sessions panicked")
        .with_hint("see the panic's own message")
}

fn complete(issued: Issued) -> Result<Issued, Failure> {
    let credentials = &issued.credentials;
    let missing = if credentials.access_key_id.is_empty() {
        "access key id"
    } else if credentials.secret_access_key.is_empty() {
        "secret access key"
    } else {
        return Ok(issued);
    };
    Err(Failure::bad_answer(format!("the answer has an empty {missing}")))
}

fn failure_of<E: fmt::Display + 'static>(error: E) -> Failure {
    own_failure(&error).unwrap_or_else(|| Failure::unavailable(error.to_string()))
}

/// The failure that an error is already, boxed or not.
pub(super) fn own_failure<E: 'static>(error: &E) -> Option<Failure> {
    let any: &dyn Any = error;
    let of_ours = |failure: Option<&Failure>, error: Option<&crate::Error>| {
        failure.cloned().or_else(|| error.cloned().map(Failure::from))
    };
    let boxed = any
        .downcast_ref::<Box<dyn StdError + Send + Sync>>()
        .map(|error| &**error as &(dyn StdError + 'static))
        .or_else(|| any.downcast_ref::<Box<dyn StdError>>().map(|error| &**error));
    of_ours(any.downcast_ref(), any.downcast_ref())
        .or_else(|| boxed.and_then(|error| of_ours(error.downcast_ref(), error.downcast_ref())))
}

// === impl FromProvider ===

impl FromProvider {
    /// Asks `provider` for each session. `name` is what messages call it.
    pub fn new(name: impl Into<Arc<str>>, provider: impl ProvideCredentials + 'static) -> Self {
        let provider = SharedCredentialsProvider::new(provider);
        Self { name: name.into(), provider, never_expires: false }
    }

    /// Takes credentials without an expiry for long-term keys that last [`UNDATED_LIFETIME`] from
    /// each fetch.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.never_expires = true;
        self
    }

    async fn issue(&self) -> Result<Issued, Failure> {
        let provided = caught(async { self.provider.provide_credentials().await }).await;
        let found =
            provided.ok_or_else(panicked)?.map_err(|error| base_failure::of(&error, None))?;
        if found.expiry().is_none() && !self.never_expires {
            return Err(Failure::bad_answer(format!(
                "the credentials that {} gave do not say when they end",
                self.name
            ))
            .with_hint("if they are long-term keys, say so with never_expires()"));
        }
        complete(issued_of(&found, Clock::System.now().wall))
    }
}

impl Source for FromProvider {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.issue())
    }

    fn name(&self) -> String {
        self.name.as_ref().to_owned()
    }
}

/// The SDK's credentials as ours; without an expiry they last [`UNDATED_LIFETIME`] from `now`.
pub(crate) fn issued_of(found: &aws_credential_types::Credentials, now: WallTime) -> Issued {
    let credentials = Credentials::new(
        found.access_key_id(),
        found.secret_access_key(),
        found.session_token().unwrap_or_default(),
    );
    let expiration = found.expiry().map_or_else(|| now.after(UNDATED_LIFETIME), WallTime::from);
    let mut issued = Issued::new(credentials, expiration);
    issued.account_id = found.account_id().map(|id| id.as_str().to_owned());
    issued
}
