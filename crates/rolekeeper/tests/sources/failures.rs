//! What the sources make of a service that refuses, is away, or talks nonsense.

use std::time::Duration;

use rolekeeper::{
    Failure,
    FailureKind::{BadAnswer, Denied, NeedsPerson, Unavailable},
    Secret, Source,
    sources::{AssumeRole, Base, Surroundings},
};
use rolekeeper_sandbox::{AssumeRoleRefusal, Failures, Faults};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{NO_VARIABLES, nothing_but, role, sandbox, sandbox_with, told};

async fn failure_under(faults: Faults) -> Failure {
    let sandbox = sandbox().await;
    let role = role(&sandbox, "demo").build().await.unwrap();
    sandbox.faults().set(faults);
    let failure = role.fetch().await.unwrap_err();
    assert!(sandbox.counts().total() <= 1, "one fetch is one attempt");
    failure
}

fn failing(status: u16, retry_after_seconds: Option<u32>) -> Faults {
    nothing_but(|f| f.fail = Some(Failures { next: None, status, retry_after_seconds }))
}

#[tokio::test]
async fn a_service_in_trouble_is_unavailable_and_says_when_to_come_back() {
    for (faults, code, retry_after) in [
        (nothing_but(|f| f.throttle_per_second = Some(0)), "Throttling", None),
        (failing(500, None), "InternalFailure", None),
        (failing(503, Some(7)), "ServiceUnavailable", Some(Duration::from_secs(7))),
        (failing(429, Some(1)), "InternalFailure", Some(Duration::from_secs(1))),
    ] {
        let failure = failure_under(faults).await;
        assert_eq!((failure.kind, failure.code.as_deref()), (Unavailable, Some(code)), "{failure}");
        assert_eq!(failure.retry_after, retry_after);
        assert!(failure.issuer_now.is_some(), "the Date of a refusal is kept");
    }
}

#[tokio::test]
async fn connections_that_break_are_unavailable() {
    let closed = failure_under(nothing_but(|f| f.close_connection = true)).await;
    assert_eq!(closed.kind, Unavailable, "{closed}");
    assert!(closed.message.starts_with("the connection to STS at http://127.0.0.1:"), "{closed}");
    let truncated = failure_under(nothing_but(|f| f.truncate_body = true)).await;
    assert_eq!(truncated.kind, Unavailable, "{truncated}");
    assert!(truncated.message.ends_with("broke off in the answer"), "{truncated}");
}

/// Whoever answers in its place could else fill this machine's memory for as long as a call may take.
#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _ = client.read(&mut head).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n\r\n").await.unwrap();
        let (mut sent, piece) = (0_usize, vec![b'<'; 64 * 1024]);
        while client.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        sent
    });
    let sandbox = sandbox().await;
    let role = role(&sandbox, "demo").endpoint_url(&url).build().await.unwrap();
    let failure = role.fetch().await.unwrap_err();
    assert_eq!(failure.kind, Unavailable, "{failure}");
    assert!(failure.message.ends_with("broke off in the answer"), "{failure}");
    // What is on its way between two sockets comes on top of what is read.
    let sent = sent.await.unwrap();
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken");
}

#[tokio::test]
async fn nobody_there_is_told_from_no_such_name_and_from_no_tls() {
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let sandbox = sandbox().await;
    let not_tls = sandbox.endpoint_url().replace("http://", "https://");
    for (url, expected) in [
        (format!("http://127.0.0.1:{nobody}"), "was refused"),
        ("http://no-such-host.invalid:80".to_owned(), "cannot be resolved (DNS)"),
        (not_tls, "no secure connection (TLS)"),
    ] {
        let role = role(&sandbox, "demo").endpoint_url(&url).build().await.unwrap();
        let failure = role.fetch().await.unwrap_err();
        assert_eq!(failure.kind, Unavailable, "{failure}");
        assert!(failure.message.contains(expected) && failure.message.contains(&url), "{failure}");
        assert_eq!(failure.issuer_now, None);
    }
}

#[test]
fn a_service_that_never_answers_is_unavailable_after_a_while() {
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let sandbox = elsewhere.block_on(sandbox());
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    here.block_on(async {
        let role = role(&sandbox, "demo").build().await.unwrap();
        role.fetch().await.unwrap();
        sandbox.faults().set(nothing_but(|f| f.hang = true));
        // From here on time jumps to the next timer whenever nothing else is to be done.
        tokio::time::pause();
        let failure = role.fetch().await.unwrap_err();
        assert_eq!(failure.kind, Unavailable);
        assert!(failure.message.ends_with("in time"), "{failure}");
    });
}

#[tokio::test]
async fn an_answer_that_lacks_something_is_bad_and_says_what() {
    for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"] {
        let failure = failure_under(nothing_but(|f| f.missing_field = Some(field.into()))).await;
        assert_eq!(failure.kind, BadAnswer);
        assert_eq!(failure.message, format!("the answer of STS has no {field}"));
        assert!(failure.issuer_now.is_some());
    }
    let malformed = failure_under(nothing_but(|f| f.malformed_body = true)).await;
    assert_eq!(malformed.kind, BadAnswer);
}

#[tokio::test]
async fn an_expired_answer_is_handed_on_as_it_is() {
    let sandbox = sandbox().await;
    let role = role(&sandbox, "demo").build().await.unwrap();
    sandbox.faults().set(nothing_but(|f| f.already_expired = true));
    // The lifecycle refuses it: whether expired credentials are of use is not the source's
    // decision.
    let issued = role.fetch().await.unwrap();
    assert!(issued.expiration <= issued.issued_at.unwrap());
}

#[tokio::test]
async fn refusals_are_sorted_by_who_can_mend_them_and_say_what_to_change() {
    for (code, status, message, kind, hint) in [
        (
            "AccessDenied",
            403,
            "User: x is not authorized to perform: sts:AssumeRole on resource: y",
            Denied,
            "check that the role exists",
        ),
        (
            "AccessDenied",
            403,
            "x is not authorized to perform: sts:TagSession on resource: y",
            Denied,
            "allow sts:TagSession",
        ),
        (
            "AccessDenied",
            403,
            "x is not authorized to perform: sts:SetSourceIdentity",
            Denied,
            "allow sts:SetSourceIdentity",
        ),
        (
            "AccessDenied",
            403,
            "MultiFactorAuthentication failed with invalid MFA one time pass code.",
            NeedsPerson,
            "enter the device's next code",
        ),
        (
            "MalformedPolicyDocument",
            400,
            "Syntax errors in policy.",
            Denied,
            "correct the inline session policy",
        ),
        (
            "PackedPolicyTooLarge",
            400,
            "Packed size is 120%",
            Denied,
            "shorten the session policies",
        ),
        (
            "RegionDisabledException",
            403,
            "STS is not activated",
            Denied,
            "activate STS for this Region",
        ),
        ("IDPRejectedClaim", 403, "Token is revoked", Denied, "get a new identity token"),
        ("IDPCommunicationError", 400, "no answer", Unavailable, ""),
        (
            "ValidationError",
            400,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            Denied,
            "ask for a shorter duration",
        ),
        (
            "ValidationError",
            400,
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            Denied,
            "ask for at most an hour",
        ),
        (
            "ExpiredToken",
            403,
            "The security token included in the request is expired",
            Denied,
            "the base credentials have expired",
        ),
        (
            "InvalidClientTokenId",
            403,
            "The security token included in the request is invalid.",
            Denied,
            "the base credentials' key",
        ),
        (
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match",
            Denied,
            "check the base credentials' secret",
        ),
        ("Throttling", 400, "Rate exceeded", Unavailable, ""),
        ("SomethingNew", 400, "it says", Denied, ""),
        ("SomethingNew", 502, "it says", Unavailable, ""),
        ("AccessDenied", 403, "", Denied, "check that the role exists"),
    ] {
        let (text, owned) = (message.to_owned(), code.to_owned());
        let refusal = AssumeRoleRefusal { code: owned, status, message: text };
        let failure = failure_under(nothing_but(|f| f.refuse_assume_role = Some(refusal))).await;
        assert_eq!((failure.kind, failure.code.as_deref()), (kind, Some(code)), "{failure}");
        let said = if message.is_empty() { "the service gave no reason" } else { message };
        assert_eq!(failure.message, said);
        let given = failure.hint.clone().unwrap_or_default();
        assert!(
            given.starts_with(hint) && given.is_empty() == hint.is_empty(),
            "{}",
            told(&failure)
        );
    }
}

#[tokio::test]
async fn the_services_own_refusals_are_understood() {
    let sandbox = sandbox_with(
        r#"
        disabled_regions = ["me-south-1"]
        [users.demo]
        access_key_id = "AKIAEXAMPLEEXAMPLE00"
        secret_access_key = "a-secret-that-opens-nothing"
        [roles.short]
        trust = ["user/demo"]
        "#,
    )
    .await;
    let secret = Secret::new("another-secret");
    let wrong_secret = Base::keys("AKIAEXAMPLEEXAMPLE00", &secret, None);
    let wrong_key = Base::keys("AKIAUNKNOWNUNKNOWN00", &secret, None);
    let short = || role(&sandbox, "short");
    for (builder, code, hint) in [
        (short().base(wrong_secret), "SignatureDoesNotMatch", "check the base"),
        (short().base(wrong_key), "InvalidClientTokenId", "the base credentials' key"),
        (short().region("me-south-1"), "RegionDisabledException", "activate STS"),
        (short().duration(Duration::from_secs(7200)), "ValidationError", "ask for a shorter"),
        (role(&sandbox, "nobody"), "AccessDenied", "check that the role exists"),
    ] {
        let calls = sandbox.counts().total();
        let failure = builder.build().await.unwrap().fetch().await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_deref()), (Denied, Some(code)), "{failure}");
        assert!(failure.hint.as_deref().unwrap().starts_with(hint), "{}", told(&failure));
        assert_eq!(sandbox.counts().total(), calls + 1, "{code}: not tried again");
        assert!(!format!("{failure:?}").contains("another-secret"));
    }
}

/// Answers one request with `answer` and returns the URL to ask at.
async fn server(answer: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // A form body of AssumeRole ends in its last field.
        while !String::from_utf8_lossy(&request).contains("RoleSessionName=") {
            let mut part = [0; 4096];
            let count = socket.read(&mut part).await.unwrap();
            request.extend_from_slice(&part[..count]);
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
    });
    url
}

#[tokio::test]
async fn servers_that_are_not_quite_sts_are_understood() {
    for (answer, kind, code, said) in [
        (
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n<Error><Code>AccessDenied</Code><Message></Message></Error>",
            Denied,
            Some("AccessDenied"),
            "the service gave no reason",
        ),
        (
            "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n<Error><Code>InvalidClientTokenId</Code><Message>who?</Message></Error>",
            Denied,
            Some("InvalidClientTokenId"),
            "who?",
        ),
        (
            "HTTP/1.1 407 Proxy\r\nConnection: close\r\n\r\n<html>log in first</html>",
            BadAnswer,
            None,
            "answered with status 407",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nRetry-After: 5\r\nConnection: close\r\n\r\noops",
            Unavailable,
            None,
            "answered with status 502",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"Credentials\":{}}",
            BadAnswer,
            None,
            "cannot be read",
        ),
    ] {
        let role = AssumeRole::builder("arn:aws:iam:::role/x-y")
            .endpoint_url(server(answer).await)
            .base(Base::keys("AKIA", &Secret::new("secret"), None))
            .surroundings(Surroundings::with_variables(NO_VARIABLES))
            .build()
            .await
            .unwrap();
        let failure = role.fetch().await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_deref()), (kind, code), "{failure}");
        assert!(failure.message.contains(said), "{failure}");
    }
}
