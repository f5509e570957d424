//! Who is let in: every way a signature can be wrong, and the ways it can be right.

use std::time::Duration;

use crate::common::{Call, Key, demo, describe_db_instances, exchange, list_buckets, sts};
use rolekeeper_sandbox::{Running, Sandbox};

async fn start() -> (Running, Key) {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let key = demo(&sandbox);
    (sandbox, key)
}

fn who() -> Call {
    sts("GetCallerIdentity", &[])
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_each_services_words() {
    let (sandbox, key) = start().await;
    let unknown = Key { id: "AKIANOBODYKNOWSTHIS0".to_owned(), ..key };
    let answer = who().send(&sandbox, &unknown).await;
    answer.is(403, "InvalidClientTokenId");
    assert_eq!(answer.message(), "The security token included in the request is invalid.");
    assert!(
        answer
            .body
            .starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">")
            && answer.body.contains("<Type>Sender</Type>")
            && answer.body.contains("<RequestId>"),
        "{answer:?}"
    );
    let answer = list_buckets().send(&sandbox, &unknown).await;
    answer.is(403, "InvalidAccessKeyId");
    assert!(!answer.body.contains("ErrorResponse"), "{answer:?}");
    let answer = describe_db_instances().send(&sandbox, &unknown).await;
    answer.is(403, "InvalidClientTokenId");
}

#[tokio::test]
async fn another_secret_does_not_match() {
    let (sandbox, key) = start().await;
    let wrong = Key { secret: "not/the/secret/of/this/key/at/all/000000".to_owned(), ..key };
    for call in [who(), list_buckets(), describe_db_instances()] {
        call.send(&sandbox, &wrong).await.is(403, "SignatureDoesNotMatch");
    }
}

#[tokio::test]
async fn a_request_changed_on_its_way_does_not_match() {
    let (sandbox, key) = start().await;
    let signed = sts("AssumeRole", &[("RoleSessionName", "honest")]).signed(&sandbox, &key);
    for (from, to) in [
        ("honest", "bandit"),
        ("POST / ", "POST /? "),
        ("charset=utf-8", "charset=utf-9"),
        ("/us-east-1/", "/us-west-2/"),
        ("content-type: ", "x-other: "),
    ] {
        let changed = signed.replacen(from, to, 1);
        let answer = exchange(&sandbox, changed.as_bytes()).await.unwrap();
        match from {
            // An empty query is the same canonical request.
            "POST / " => answer.is(400, "ValidationError"),
            _ => answer.is(403, "SignatureDoesNotMatch"),
        }
    }
}

#[tokio::test]
async fn a_body_other_than_the_one_hashed_is_told_by_s3() {
    let (sandbox, key) = start().await;
    let signed = list_buckets().signed(&sandbox, &key);
    let changed = signed.replace("content-length: 0", "content-length: 1") + "x";
    let answer = exchange(&sandbox, changed.as_bytes()).await.unwrap();
    answer.is(400, "XAmzContentSHA256Mismatch");
}

#[tokio::test]
async fn an_unsigned_payload_is_for_s3_only() {
    let (sandbox, key) = start().await;
    let call = Call { unsigned_payload: true, ..list_buckets() };
    call.send(&sandbox, &key).await.is(200, "");
    let mut call = Call { unsigned_payload: true, ..who() };
    call.headers.push(("x-amz-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned()));
    call.send(&sandbox, &key).await.is(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_request_dated_more_than_5_minutes_off_is_refused() {
    let (sandbox, key) = start().await;
    for (skew, told) in [(-330, "Signature expired: "), (330, "Signature not yet current: ")] {
        let answer = Call { skew, ..who() }.send(&sandbox, &key).await;
        answer.is(403, "SignatureDoesNotMatch");
        assert!(answer.message().starts_with(told), "{answer:?}");
        let answer = Call { skew, ..list_buckets() }.send(&sandbox, &key).await;
        answer.is(403, "RequestTimeTooSkewed");
    }
    for skew in [-240, 240] {
        Call { skew, ..who() }.send(&sandbox, &key).await.is(200, "");
    }
}

#[tokio::test]
async fn a_sessions_key_is_nothing_without_its_token() {
    let (sandbox, key) = start().await;
    let first = crate::common::assume_role("demo", &[]).send(&sandbox, &key).await.key();
    let second = crate::common::assume_role("demo", &[]).send(&sandbox, &key).await.key();

    let bare = Key { token: None, ..first.clone() };
    who().send(&sandbox, &bare).await.is(403, "InvalidClientTokenId");
    list_buckets().send(&sandbox, &bare).await.is(403, "InvalidAccessKeyId");

    let crossed = Key { token: second.token, ..first };
    who().send(&sandbox, &crossed).await.is(403, "InvalidClientTokenId");
    list_buckets().send(&sandbox, &crossed).await.is(400, "InvalidToken");

    let needless = Key { token: crossed.token, ..key };
    who().send(&sandbox, &needless).await.is(403, "InvalidClientTokenId");
}

#[tokio::test]
async fn a_presigned_request_is_good_for_as_long_as_it_says() {
    let (sandbox, key) = start().await;
    let session = crate::common::assume_role("demo", &[]).send(&sandbox, &key).await.key();
    let hour = Some(Duration::from_secs(3600));
    let mut url = Call { method: "GET", presigned: hour, ..who() };
    url.target = "/?Action=GetCallerIdentity&Version=2011-06-15".to_owned();
    url.body.clear();
    url.headers = vec![("x-k8s-aws-id".to_owned(), "cluster".to_owned())];
    for key in [&key, &session] {
        url.send(&sandbox, key).await.is(200, "");
        Call { skew: -3000, ..url.clone() }.send(&sandbox, key).await.is(200, "");
        let late = Call { skew: -3700, ..url.clone() };
        late.send(&sandbox, key).await.is(403, "SignatureDoesNotMatch");
        let early = Call { skew: 400, ..url.clone() };
        early.send(&sandbox, key).await.is(403, "SignatureDoesNotMatch");

        let bucket = Call { presigned: hour, ..list_buckets() };
        bucket.send(&sandbox, key).await.is(200, "");
        let late = Call { skew: -3700, ..bucket };
        late.send(&sandbox, key).await.is(403, "AccessDenied");
    }
    let changed = url.signed(&sandbox, &key).replace("X-Amz-Expires=3600", "X-Amz-Expires=7200");
    exchange(&sandbox, changed.as_bytes()).await.unwrap().is(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_get_with_its_parameters_in_the_query_is_a_call_too() {
    let (sandbox, key) = start().await;
    let mut call = Call { method: "GET", ..who() };
    call.body.clear();
    for space in ["+", "%20"] {
        call.target =
            format!("/?Version=2011-06-15&Action=GetCallerIdentity&Comment=a{space}b%2F~&Empty");
        call.send(&sandbox, &key).await.is(200, "");
    }
}

#[tokio::test]
async fn a_space_in_a_form_is_a_plus_or_percent_20() {
    let (sandbox, key) = start().await;
    for space in ["+", "%20"] {
        let mut call = crate::common::assume_role("demo", &[]);
        call.body.push_str(&format!("&ExternalId=a{space}b"));
        let answer = call.send(&sandbox, &key).await;
        answer.is(400, "ValidationError");
        assert!(answer.message().contains("'a b'"), "{answer:?}");
    }
}

#[tokio::test]
async fn s3_paths_are_signed_as_they_are_and_others_encoded_once_more() {
    let (sandbox, key) = start().await;
    let mut bucket = list_buckets();
    bucket.target = "/a%20b/../c//d?x=1%2B1&y".to_owned();
    bucket.send(&sandbox, &key).await.is(404, "NoSuchBucket");
    let mut call = who();
    call.target = "/a%20b/../c//d".to_owned();
    call.send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn a_request_without_a_signature_is_told_so() {
    let (sandbox, _) = start().await;
    who().send_unsigned(&sandbox).await.is(403, "MissingAuthenticationToken");
    describe_db_instances().send_unsigned(&sandbox).await.is(403, "MissingAuthenticationToken");
    list_buckets().send_unsigned(&sandbox).await.is(403, "AccessDenied");
}

#[tokio::test]
async fn a_signature_that_cannot_be_read_is_incomplete() {
    let (sandbox, key) = start().await;
    let signed = who().signed(&sandbox, &key);
    for (from, to) in [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("Credential=", "Credentials="),
        ("SignedHeaders=", "Headers="),
        ("Signature=", "Sig="),
        ("aws4_request", "aws5_request"),
        ("/us-east-1/", "/"),
        ("x-amz-date: 2", "x-amz-date: X"),
        ("x-amz-date: ", "x-date: "),
        (";host", ""),
        (";x-amz-date", ""),
    ] {
        let broken = signed.replacen(from, to, 1);
        assert_ne!(broken, signed, "{from}");
        let answer = exchange(&sandbox, broken.as_bytes()).await.unwrap();
        assert_eq!(answer.outcome(), (400, "IncompleteSignature".to_owned()), "{from}");
    }
}

#[tokio::test]
async fn secrets_are_not_in_what_debug_prints() {
    let (sandbox, key) = start().await;
    let session = crate::common::assume_role("demo", &[]).send(&sandbox, &key).await.key();
    let printed = format!("{sandbox:?} {:?}", sandbox.user_credentials("demo"));
    for secret in [&key.secret, &session.secret, &session.token.unwrap()] {
        assert!(!printed.contains(secret.as_str()));
    }
    assert!(!printed.contains(sandbox.admin_token()));
}
