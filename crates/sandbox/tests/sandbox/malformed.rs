//! Nothing that can be sent brings the sandbox down, or makes it fail by itself.

use crate::common::{demo, exchange, exchange_and_end, raw, sts};
use proptest::collection::vec;
use proptest::prelude::*;
use rolekeeper_sandbox::{Running, Sandbox};

/// Sends what `make` makes of random input to one sandbox, which must be well afterwards. Whole
/// requests must be answered.
fn with_sandbox<S: Strategy>(
    strategy: &S,
    (cases, whole): (u32, bool),
    make: impl Fn(&Running, S::Value) -> Vec<u8>,
) where
    S::Value: Clone + std::fmt::Debug,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sandbox = runtime.block_on(Sandbox::builder().start()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(strategy, |input| {
        let request = make(&sandbox, input);
        let answer = match whole {
            true => runtime.block_on(exchange(&sandbox, &request)),
            false => runtime.block_on(exchange_and_end(&sandbox, &request)),
        };
        prop_assert!(answer.is_some() || !whole);
        prop_assert!(answer.as_ref().is_none_or(|answer| answer.status < 500), "{answer:?}");
        Ok(())
    });
    outcome.unwrap();
    let well = sts("GetCallerIdentity", &[]);
    runtime.block_on(well.send(&sandbox, &demo(&sandbox))).is(200, "");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        any::<String>(),
        Just("\u{0}".to_owned()),
        Just("%".to_owned()),
        Just("arn:aws:iam::123456789012:role/demo".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("eyJhbGciOiJIUzI1NiJ9.e30.".to_owned()),
    ]
}

fn parameter() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "Policy",
            "ExternalId",
            "SerialNumber",
            "TokenCode",
            "SourceIdentity",
            "WebIdentityToken",
            "Name",
            "Tags.member.1.Key",
            "Tags.member.1.Value",
            "TransitiveTagKeys.member.1",
            "PolicyArns.member.1.arn",
        ])
        .prop_map(str::to_owned),
        text(),
    ]
}

#[test]
fn random_bytes_on_the_socket_do_no_harm() {
    with_sandbox(&vec(any::<u8>(), 0..2000), (64, false), |_, bytes| bytes);
}

#[test]
fn random_requests_with_half_right_signatures_do_no_harm() {
    let header = prop::sample::select(vec![
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "content-type",
        "content-length",
        "transfer-encoding",
        "expect",
        "host",
    ]);
    let value = prop_oneof![
        "[ -~]{0,60}",
        Just(
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host;\
              x-amz-date, Signature=00"
                .to_owned()
        ),
        Just(
            "AWS4-HMAC-SHA256 Credential=AKIAROLEKEEPERSANDBX/20260101/r/sts/aws4_request,\
              SignedHeaders=host;x-amz-date;\u{e9};;, Signature="
                .to_owned()
        ),
        Just("20260101T000000Z".to_owned()),
        Just("00000000T999999Z".to_owned()),
        Just("-1".to_owned()),
        Just("chunked".to_owned()),
    ];
    let request = (
        prop::sample::select(vec!["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "X"]),
        prop_oneof![
            "/[!-~]{0,60}",
            "[!-~]{1,60}",
            Just("*".to_owned()),
            Just("/_sandbox/counts".to_owned()),
            Just("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=////".to_owned()),
        ],
        vec((header, value), 0..6),
        text(),
    );
    with_sandbox(&request, (256, false), |_, (method, target, headers, body)| {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{request}\r\n{body}").into_bytes()
    });
}

#[test]
fn random_forms_that_are_signed_well_do_no_harm() {
    let operation = prop::sample::select(vec![
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "GetSessionToken",
        "GetFederationToken",
        "GetCallerIdentity",
        "Other",
    ]);
    let form = (operation, vec((parameter(), text()), 0..8), any::<bool>());
    with_sandbox(&form, (256, true), |sandbox, (operation, parameters, valid_base)| {
        let mut all: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if valid_base {
            all.push(("RoleArn", "arn:aws:iam::123456789012:role/demo"));
            all.push(("RoleSessionName", "random"));
            all.push(("Name", "random"));
        }
        sts(operation, &all).signed(sandbox, &demo(sandbox)).into_bytes()
    });
}

#[tokio::test]
async fn a_request_that_is_too_large_is_told_so() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let host = ("host".to_owned(), "127.0.0.1".to_owned());

    let large = raw("POST", "/", std::slice::from_ref(&host), &"x".repeat(2 * 1024 * 1024));
    let answer = exchange(&sandbox, large.as_bytes()).await;
    // The answer may be lost with the connection, which is closed with most of the body unread.
    assert!(answer.is_none_or(|answer| answer.status == 413));

    let many = vec![host.clone(); 200];
    let answer = exchange(&sandbox, raw("GET", "/", &many, "").as_bytes()).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));

    let wide = ("x-wide".to_owned(), "x".repeat(200_000));
    let answer = exchange(&sandbox, raw("GET", "/", &[host, wide], "").as_bytes()).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));

    sts("GetCallerIdentity", &[]).send(&sandbox, &demo(&sandbox)).await.is(200, "");
}

#[tokio::test]
async fn a_query_that_outgrows_the_signer_is_refused_and_not_a_panic() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let mut call = sts("GetCallerIdentity", &[]);
    // Each of these bytes is nine once it is encoded again.
    call.target = format!("/?{}", "%FF".repeat(10_000));
    let signed = sts("GetCallerIdentity", &[]).signed(&sandbox, &demo(&sandbox));
    let long = signed.replacen("POST / ", &format!("POST {} ", call.target), 1);
    exchange(&sandbox, long.as_bytes()).await.unwrap().is(400, "IncompleteSignature");
}
