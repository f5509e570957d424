//! Roles of the sandbox, assumed by the real SDK.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    FailureKind, Issued, Source,
    sources::{AssumeRole, Base, Fetch, MfaPrompt, Surroundings, WebIdentity},
};

use rolekeeper_sandbox::Failures;
use tokio::task::JoinSet;

use crate::support::{
    Files, NO_VARIABLES, lasts, nothing_but, role, sandbox, sandbox_with, shared, told, user,
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_role_is_assumed_with_every_parameter() {
    let sandbox = sandbox().await;
    let serial = "arn:aws:iam::123456789012:mfa/demo";
    let code = sandbox.mfa_code(serial).unwrap();
    let role = role(&sandbox, "demo")
        .session_name("nightly@host")
        .duration(4 * HOUR)
        .external_id("customer/7")
        .policy(r#"{"Version":"2012-10-17","Statement":[]}"#)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .tag("team", "storage")
        .tag("empty", "")
        .transitive_tag_key("team")
        .source_identity("somebody")
        .mfa_serial(serial)
        .mfa_prompt(MfaPrompt::new(move |_| {
            let code = code.clone();
            async move { Ok::<_, std::io::Error>(code) }
        }))
        .provided_context("arn:aws:iam::aws:contextProvider/IdentityCenter", "an-assertion")
        .build()
        .await
        .unwrap();
    let issued = role.fetch().await.unwrap();
    assert_eq!(
        issued.assumed_role_arn.as_deref(),
        Some("arn:aws:sts::123456789012:assumed-role/demo/nightly@host")
    );
    assert_eq!(issued.account_id.as_deref(), Some("123456789012"));
    assert!(lasts(&issued, 4 * HOUR));
    assert!(!issued.credentials.session_token.is_empty());
    assert_eq!(role.name(), "arn:aws:iam::123456789012:role/demo");
    assert_eq!(role.account().as_deref(), Some("123456789012"));
    assert_eq!(sandbox.counts().total(), 1, "one fetch is one call");
}

#[tokio::test]
async fn a_session_name_is_made_of_user_host_and_process() {
    let sandbox = sandbox().await;
    let long = "a-host-with-a-name-so-long-that-it-does-not-fit.example.internal.invalid";
    for (user, host, start) in [
        ("ann", "box", "ann@box".to_owned()),
        ("DOMAIN\\ann e", "bäx", "DOMAIN-ann-e@b-x".to_owned()),
        ("ann", long, format!("ann@{}", &long[..40])),
    ] {
        let seen = Surroundings::with_variables([("USER", user), ("HOSTNAME", host)]);
        let role = role(&sandbox, "demo").surroundings(seen).build().await.unwrap();
        let arn = role.fetch().await.unwrap().assumed_role_arn.unwrap();
        let name = arn.rsplit_once('/').unwrap().1;
        assert!(name.starts_with(&start), "{name}");
        assert!(name.ends_with(&format!("-{}", std::process::id())) && name.len() <= 64, "{name}");
    }
}

#[tokio::test]
async fn a_chain_of_three_roles_asks_for_each_once_and_for_an_hour_at_most() {
    let sandbox = sandbox_with(
        r#"
        [users.demo]
        access_key_id = "AKIAEXAMPLEEXAMPLE00"
        secret_access_key = "a-secret-that-opens-nothing"
        [roles.first]
        trust = ["user/demo"]
        [roles.second]
        trust = ["role/first"]
        max_session_duration = 43200
        [roles.third]
        trust = ["role/second"]
        max_session_duration = 43200
        "#,
    )
    .await;
    let first = role(&sandbox, "first").build().await.unwrap();
    let second = role(&sandbox, "second").base(Base::role(shared(first))).duration(2 * HOUR);
    let second = Base::role(shared(second.build().await.unwrap()));
    let third = role(&sandbox, "third").base(second).duration(12 * HOUR).build().await.unwrap();
    let issued = third.fetch().await.unwrap();
    assert!(lasts(&issued, HOUR));
    assert!(issued.assumed_role_arn.unwrap().contains(":assumed-role/third/"));
    assert_eq!(sandbox.counts().ok("AssumeRole"), 3);

    third.fetch().await.unwrap();
    assert_eq!(sandbox.counts().ok("AssumeRole"), 4, "the sessions below are still good");
}

#[tokio::test]
async fn a_base_session_that_sts_refuses_is_replaced_by_the_next_fetch() {
    let sandbox = sandbox().await;
    let demo = role(&sandbox, "demo").build().await.unwrap();
    let chained = role(&sandbox, "chained").base(Base::role(shared(demo))).build().await.unwrap();
    chained.fetch().await.unwrap();
    sandbox.advance(2 * HOUR);
    let failure = chained.fetch().await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_deref()),
        (FailureKind::Denied, Some("ExpiredToken"))
    );
    assert!(failure.hint.unwrap().starts_with("the base credentials have expired"));
    assert!(chained.fetch().await.is_ok());
}

/// A source that keeps its session by itself, and lets it grow old.
#[derive(Debug)]
struct Keeper {
    session: Issued,
    asked: AtomicU32,
    refused: Mutex<Vec<String>>,
}

impl Source for Keeper {
    fn fetch(&self) -> Fetch<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(self.session.clone()) })
    }

    fn name(&self) -> String {
        "keeper".into()
    }

    fn keeps_fresh(&self) -> bool {
        true
    }

    fn refused(&self, access_key_id: &str) {
        self.refused.lock().unwrap().push(access_key_id.to_owned());
    }
}

#[tokio::test]
async fn a_base_that_keeps_itself_fresh_is_asked_for_each_session_and_told_of_refusals() {
    let sandbox = sandbox().await;
    let session = role(&sandbox, "demo").build().await.unwrap().fetch().await.unwrap();
    let key = session.credentials.access_key_id.clone();
    let (asked, refused) = Default::default();
    let keeper = Arc::new(Keeper { session, asked, refused });
    let base = Base::role(Arc::clone(&keeper) as Arc<dyn Source>);
    let chained = role(&sandbox, "chained").base(base).build().await.unwrap();
    chained.fetch().await.unwrap();
    chained.fetch().await.unwrap();
    assert_eq!(keeper.asked.load(Ordering::SeqCst), 2);
    assert!(keeper.refused.lock().unwrap().is_empty());

    sandbox.advance(2 * HOUR);
    chained.fetch().await.unwrap_err();
    assert_eq!(*keeper.refused.lock().unwrap(), [key]);
}

#[tokio::test]
async fn roles_that_share_a_base_ask_for_it_once() {
    let sandbox = sandbox().await;
    let base = Base::role(shared(role(&sandbox, "demo").build().await.unwrap()));
    for _ in 0..3 {
        let role = role(&sandbox, "chained").base(base.clone()).build().await.unwrap();
        role.fetch().await.unwrap();
    }
    assert_eq!(sandbox.counts().ok("AssumeRole"), 4);
}

#[tokio::test]
async fn roles_that_want_their_base_at_the_same_time_share_the_outcome() {
    let sandbox = sandbox().await;
    let base = Base::role(shared(role(&sandbox, "demo").build().await.unwrap()));
    let all_at_once = async || {
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let role = role(&sandbox, "chained").base(base.clone()).build().await.unwrap();
            tasks.spawn(async move { role.fetch().await });
        }
        tasks.join_all().await
    };
    sandbox.faults().set(nothing_but(|f| {
        f.fail = Some(Failures { next: Some(1), status: 503, retry_after_seconds: Some(9) });
    }));
    for outcome in all_at_once().await {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
        assert!(failure.message.starts_with("no session of arn:aws:iam::"), "{failure}");
    }
    assert_eq!(sandbox.counts().total(), 1);
    for outcome in all_at_once().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(sandbox.counts().total(), 1 + 1 + 10);
}

#[tokio::test]
async fn an_external_id_must_be_the_trust_policys() {
    let sandbox = sandbox().await;
    let good = role(&sandbox, "external").external_id("sandbox-external-id");
    assert!(good.build().await.unwrap().fetch().await.is_ok());
    let bad = role(&sandbox, "external").external_id("another").build().await.unwrap();
    let failure = bad.fetch().await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_deref()),
        (FailureKind::Denied, Some("AccessDenied"))
    );
    assert!(told(&failure).contains("the external id must match the trust policy's"), "{failure}");
    let none = role(&sandbox, "external").build().await.unwrap().fetch().await.unwrap_err();
    assert!(told(&none).contains("neither is set"), "{}", told(&none));
}

#[tokio::test]
async fn an_mfa_code_is_asked_for_once_a_fetch_and_is_a_persons_business() {
    let sandbox = sandbox().await;
    let serial = "arn:aws:iam::123456789012:mfa/demo";
    let asked = Arc::new(AtomicU32::new(0));
    let (count, code) = (Arc::clone(&asked), sandbox.mfa_code(serial).unwrap());
    let prompt = MfaPrompt::blocking(move |request| {
        assert_eq!(request.serial, serial);
        assert!(request.role_arn.ends_with(":role/mfa"));
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(format!(" {code}\n"))
    });
    let good = role(&sandbox, "mfa").mfa_serial(serial).mfa_prompt(prompt).build().await.unwrap();
    good.fetch().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    for (prompt, expected) in [
        (None, "a code of the MFA device `arn:aws:iam::123456789012:mfa/demo` is wanted"),
        (
            Some(MfaPrompt::new(|_| async { Err::<String, _>("nobody is at the keyboard") })),
            "no code of the MFA device `arn:aws:iam::123456789012:mfa/demo` was given: nobody is at the keyboard",
        ),
        (
            Some(MfaPrompt::new(|_| async { Ok::<_, std::io::Error>("12 345".to_owned()) })),
            "no code of the MFA device `arn:aws:iam::123456789012:mfa/demo` was given: what was entered is not six digits",
        ),
    ] {
        let calls = sandbox.counts().total();
        let mut builder = role(&sandbox, "mfa").mfa_serial(serial);
        if let Some(prompt) = prompt {
            builder = builder.mfa_prompt(prompt);
        }
        let failure = builder.build().await.unwrap().fetch().await.unwrap_err();
        assert_eq!((failure.kind, &*failure.message), (FailureKind::NeedsPerson, expected));
        assert_eq!(sandbox.counts().total(), calls, "no call without a code");
    }
}

#[tokio::test]
async fn a_web_identity_token_is_read_anew_for_each_session() {
    let sandbox = sandbox().await;
    let files = Files::new("", "");
    let token = |subject| sandbox.identity_token("sandbox", subject, HOUR).unwrap();
    let role = WebIdentity::builder(sandbox.role_arn("web"), files.path("token"))
        .endpoint_url(sandbox.endpoint_url())
        .session_name("pod-1")
        .duration(HOUR)
        .surroundings(Surroundings::with_variables(NO_VARIABLES))
        .build()
        .await
        .unwrap();

    let missing = role.fetch().await.unwrap_err();
    assert_eq!(missing.kind, FailureKind::Misconfigured);
    assert!(missing.message.contains(&files.path("token")), "{missing}");

    files.write("token", "not-a-token\n");
    let invalid = role.fetch().await.unwrap_err();
    assert_eq!(
        (invalid.kind, invalid.code.as_deref()),
        (FailureKind::Denied, Some("InvalidIdentityToken"))
    );
    assert_eq!(invalid.hint.as_deref(), Some("put a fresh token into the web identity token file"));

    files.write("token", &format!("{}\n", token("pod")));
    let issued = role.fetch().await.unwrap();
    assert!(issued.assumed_role_arn.unwrap().ends_with(":assumed-role/web/pod-1"));
    assert!(issued.issued_at.is_some());
}

#[tokio::test]
async fn an_endpoint_url_that_is_set_but_empty_counts_as_not_set() {
    let sandbox = sandbox().await;
    let url = sandbox.endpoint_url();
    let variables =
        [("AWS_ENDPOINT_URL_STS", ""), ("AWS_ENDPOINT_URL", &url), ("AWS_REGION", "us-east-1")];
    let role = AssumeRole::builder(sandbox.role_arn("demo"))
        .base(user(&sandbox))
        .surroundings(Surroundings::with_variables(variables));
    role.build().await.unwrap().fetch().await.unwrap();
}
