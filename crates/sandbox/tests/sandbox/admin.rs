//! Who may give orders over HTTP, and that they do what the Rust handle does.

use crate::common::{Answer, admin, assume_role, demo, exchange, list_buckets, raw};
use rolekeeper_sandbox::{Faults, Running, Sandbox};

async fn asking(sandbox: &Running, host: &str, authorization: Option<&str>) -> Answer {
    let mut headers = vec![("host".to_owned(), host.to_owned())];
    headers.extend(authorization.map(|value| ("authorization".to_owned(), value.to_owned())));
    let request = raw("GET", "/_sandbox/counts", &headers, "");
    exchange(sandbox, request.as_bytes()).await.unwrap()
}

fn host(sandbox: &Running) -> String {
    sandbox.endpoint_url().replace("http://", "")
}

#[tokio::test]
async fn orders_need_the_token_of_this_very_run() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let other = Sandbox::builder().start().await.unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    for wrong in [
        None,
        Some(String::new()),
        Some(bearer("")),
        Some(bearer(other.admin_token())),
        Some(bearer(&sandbox.admin_token()[1..])),
        Some(format!("Basic {}", sandbox.admin_token())),
        Some(sandbox.admin_token().to_owned()),
    ] {
        let answer = asking(&sandbox, &host(&sandbox), wrong.as_deref()).await;
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(!answer.body.contains("rows"));
    }
    let right = bearer(sandbox.admin_token());
    assert_eq!(asking(&sandbox, &host(&sandbox), Some(&right)).await.status, 200);
}

#[tokio::test]
async fn a_web_page_that_rebinds_its_name_is_turned_away() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let bearer = format!("Bearer {}", sandbox.admin_token());
    let port = host(&sandbox).replace("127.0.0.1:", "");
    for wrong in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        "localhost",
    ] {
        assert_eq!(asking(&sandbox, wrong, Some(&bearer)).await.status, 421, "{wrong}");
    }
    let headers = [("host".to_owned(), host(&sandbox)), ("authorization".to_owned(), bearer)];
    let rebound = raw("GET", "http://evil.example/_sandbox/counts", &headers, "");
    assert_eq!(exchange(&sandbox, rebound.as_bytes()).await.unwrap().status, 421);
}

#[tokio::test]
async fn faults_are_set_shown_and_cleared() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let told = r#"{"only":["AssumeRole"],"fail":{"next":1,"status":500}}"#;
    let answer = admin(&sandbox, "PUT", "/_sandbox/faults", told).await;
    assert_eq!(answer.status, 200);
    assert_eq!(serde_json::from_str::<Faults>(&answer.body).unwrap(), sandbox.faults().current());
    assume_role("demo", &[]).send(&sandbox, &demo(&sandbox)).await.is(500, "InternalFailure");
    let shown = admin(&sandbox, "GET", "/_sandbox/faults", "").await;
    assert_eq!(shown.body, answer.body);
    admin(&sandbox, "DELETE", "/_sandbox/faults", "").await.is(200, "");
    assert_eq!(sandbox.faults().current(), Faults::default());
}

#[tokio::test]
async fn orders_that_cannot_be_followed_change_nothing() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    for (method, path, body, status) in [
        ("PUT", "faults", "{", 400),
        ("PUT", "faults", r#"{"hangs":true}"#, 400),
        ("PUT", "faults", r#"{"fail":{"status":200}}"#, 400),
        ("POST", "faults", "{}", 405),
        ("POST", "revoke", "", 400),
        ("POST", "revoke", r#"{"user":"demo"}"#, 400),
        ("POST", "advance", r#"{"seconds":-1}"#, 400),
        ("GET", "nothing", "", 404),
        ("GET", "", "", 404),
    ] {
        let answer = admin(&sandbox, method, &format!("/_sandbox/{path}"), body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}");
        assert!(answer.body.starts_with("{\"error\":"), "{answer:?}");
    }
    assert_eq!(sandbox.faults().current(), Faults::default());
}

#[tokio::test]
async fn sessions_are_revoked_and_aged() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let key = demo(&sandbox);
    for body in [r#""all""#, r#"{"role":"demo"}"#, &format!(r#"{{"access_key":"{}"}}"#, key.id)] {
        let session = assume_role("demo", &[]).send(&sandbox, &key).await.key();
        let answer = admin(&sandbox, "POST", "/_sandbox/revoke", body).await;
        assert!(answer.body.starts_with("{\"revoked\":"), "{answer:?}");
        list_buckets().send(&sandbox, &session).await.is(403, "AccessDenied");
    }
    let session = assume_role("demo", &[]).send(&sandbox, &key).await.key();
    admin(&sandbox, "POST", "/_sandbox/advance", r#"{"seconds":3601}"#).await.is(200, "");
    list_buckets().send(&sandbox, &session).await.is(400, "ExpiredToken");
}

#[tokio::test]
async fn health_counts_and_mfa_codes_are_told() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    list_buckets().send(&sandbox, &demo(&sandbox)).await;
    assert_eq!(admin(&sandbox, "GET", "/_sandbox/health", "").await.body, r#"{"status":"ok"}"#);
    let counts = admin(&sandbox, "GET", "/_sandbox/counts", "").await;
    assert_eq!(counts.body, serde_json::to_string(&sandbox.counts()).unwrap());
    assert_eq!(sandbox.counts().total(), 1, "orders are not calls");
    let codes = admin(&sandbox, "GET", "/_sandbox/mfa", "").await;
    let codes: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&codes.body).unwrap();
    assert_eq!(codes["arn:aws:iam::123456789012:mfa/demo"].len(), 6);
}
