//! Functions and providers of one's own as sources.

use std::{error::Error as StdError, time::Duration};

use aws_credential_types::{
    Credentials as SdkCredentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use rolekeeper::{
    Credentials, Failure, FailureKind, Issued, Source, WallTime,
    sources::{Callback, FromProvider, UNDATED_LIFETIME},
};

fn issued() -> Issued {
    Issued::new(
        Credentials::new("ASIAMINE", "secret", "token"),
        WallTime::from_unix_secs(1_900_000_000),
    )
}

fn broken() -> std::io::Error {
    std::io::Error::other("the vault is sealed")
}

#[tokio::test]
async fn async_and_blocking_functions_make_sessions() {
    let of_async = Callback::new("vault", || async { Ok::<_, Failure>(issued()) });
    let of_blocking = Callback::blocking("vault", || Ok::<_, Failure>(issued()));
    for callback in [of_async, of_blocking] {
        assert_eq!(callback.fetch().await, Ok(issued()));
        assert_eq!(callback.name(), "vault");
    }
}

#[tokio::test]
async fn an_error_that_is_a_failure_stays_one_and_any_other_is_unavailable() {
    let denied = || Failure::denied("no such lease").with_hint("ask for one");
    let boxed = move || Box::<dyn StdError + Send + Sync>::from(denied());
    for callback in [
        Callback::new("c", move || async move { Err::<Issued, _>(denied()) }),
        Callback::new("c", move || async move { Err::<Issued, _>(boxed()) }),
        Callback::blocking("c", move || Err::<Issued, _>(denied())),
        Callback::blocking("c", move || Err::<Issued, _>(boxed())),
    ] {
        assert_eq!(callback.fetch().await, Err(denied()));
    }
    for callback in [
        Callback::new("c", || async { Err::<Issued, _>(broken()) }),
        Callback::new("c", || async { Err::<Issued, _>("the vault is sealed") }),
        Callback::blocking("c", || Err::<Issued, _>(broken())),
    ] {
        assert_eq!(callback.fetch().await, Err(Failure::unavailable("the vault is sealed")));
    }
}

#[tokio::test]
async fn a_panic_becomes_a_failure_that_does_not_repeat_its_text() {
    fn panics() -> Issued {
        panic!("with the-secret in it")
    }
    for callback in [
        Callback::new("c", || async { Ok::<_, Failure>(panics()) }),
        Callback::new("c", || {
            let issued = panics();
            async move { Ok::<_, Failure>(issued) }
        }),
        Callback::new("c", || async {
            tokio::task::yield_now().await;
            Ok::<_, Failure>(panics())
        }),
        Callback::blocking("c", || Ok::<_, Failure>(panics())),
    ] {
        let failure = callback.fetch().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadAnswer);
        assert!(!failure.to_string().contains("the-secret"), "{failure}");
    }
}

#[tokio::test]
async fn an_answer_without_a_key_is_refused_and_one_without_a_token_is_not() {
    for (id, secret, token, what) in [
        ("", "s", "t", Some("access key id")),
        ("a", "", "t", Some("secret access key")),
        ("a", "s", "", None),
    ] {
        let issued = Issued::new(Credentials::new(id, secret, token), WallTime::default());
        let callback = Callback::blocking("c", move || Ok::<_, Failure>(issued.clone()));
        match (callback.fetch().await, what) {
            (Ok(_), None) => {}
            (Err(failure), Some(what)) => {
                assert_eq!(failure.kind, FailureKind::BadAnswer);
                assert!(failure.message.contains(what), "{failure}");
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_providers_credentials_must_say_when_they_end_unless_they_never_do() {
    let ends = WallTime::from_unix_secs(1_900_000_000);
    let dated = SdkCredentials::new("ASIA", "s", Some("t".into()), Some(ends.into()), "test");
    let source = FromProvider::new("sdk", dated);
    assert_eq!(source.fetch().await.unwrap().expiration, ends);

    let keys = SdkCredentials::from_keys("AKIA", "s", None);
    let refused = FromProvider::new("sdk", keys.clone()).fetch().await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::BadAnswer);
    assert!(refused.hint.unwrap().contains("never_expires()"));

    let clock = rolekeeper::Clock::System;
    let earliest = clock.now().wall.after(UNDATED_LIFETIME);
    let issued = FromProvider::new("sdk", keys).never_expires().fetch().await.unwrap();
    let latest = clock.now().wall.after(UNDATED_LIFETIME);
    assert!((earliest..=latest).contains(&issued.expiration));
    assert!(issued.credentials.session_token.is_empty());
}

#[derive(Debug)]
struct Refusing(fn() -> CredentialsError);

impl ProvideCredentials for Refusing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err((self.0)()))
    }
}

#[tokio::test]
async fn a_providers_errors_are_sorted_by_who_can_mend_them() {
    use FailureKind::{Misconfigured, NeedsPerson, Unavailable};
    let cases: [(fn() -> CredentialsError, _); 5] = [
        (|| CredentialsError::not_loaded("nothing there"), Misconfigured),
        (|| CredentialsError::invalid_configuration("a bad line"), Misconfigured),
        (|| CredentialsError::provider_timed_out(Duration::from_secs(5)), Unavailable),
        (|| CredentialsError::provider_error(broken()), Unavailable),
        (
            || {
                CredentialsError::provider_error(
                    "the SSO token has expired and cannot be refreshed",
                )
            },
            NeedsPerson,
        ),
    ];
    for (error, kind) in cases {
        let failure = FromProvider::new("sdk", Refusing(error)).fetch().await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
    }
}
