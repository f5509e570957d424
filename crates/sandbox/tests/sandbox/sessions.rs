//! What a session is, from its issue to its end.

use std::time::Duration;

use crate::common::{assume_role, clock, demo, describe_db_instances, list_buckets, query, sts};
use rolekeeper_sandbox::{Config, Revoke, Sandbox};

#[tokio::test]
async fn a_session_is_served_by_every_service_under_its_own_name() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let answer = assume_role("demo", &[]).send(&sandbox, &demo(&sandbox)).await;
    answer.is(200, "");
    let arn = "arn:aws:sts::123456789012:assumed-role/demo/test-session";
    assert_eq!(answer.xml("Arn").unwrap(), arn);
    let id = answer.xml("AssumedRoleId").unwrap();
    assert!(id.starts_with("AROA") && id.ends_with(":test-session"), "{id}");
    assert!(answer.headers.contains_key("date") && answer.headers.contains_key("x-amzn-requestid"));

    let session = answer.key();
    assert!(session.id.starts_with("ASIA"));
    let who = sts("GetCallerIdentity", &[]).send(&sandbox, &session).await;
    assert_eq!(who.xml("Arn").unwrap(), arn);
    assert_eq!(who.xml("UserId").unwrap(), id);
    assert_eq!(who.xml("Account").unwrap(), "123456789012");
    let buckets = list_buckets().send(&sandbox, &session).await;
    buckets.is(200, "");
    assert!(buckets.body.contains("<ListAllMyBucketsResult"), "{buckets:?}");
    let databases = describe_db_instances().send(&sandbox, &session).await;
    databases.is(200, "");
    assert!(databases.body.contains("<DBInstanceIdentifier>"), "{databases:?}");
}

#[tokio::test]
async fn an_expired_session_is_refused_in_each_services_words() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let call = assume_role("demo", &[("DurationSeconds", "900")]);
    let old = call.send(&sandbox, &demo(&sandbox)).await.key();
    sandbox.advance(Duration::from_secs(600));
    list_buckets().send(&sandbox, &old).await.is(200, "");
    sandbox.advance(Duration::from_secs(301));
    sts("GetCallerIdentity", &[]).send(&sandbox, &old).await.is(403, "ExpiredToken");
    assume_role("chained", &[]).send(&sandbox, &old).await.is(403, "ExpiredToken");
    list_buckets().send(&sandbox, &old).await.is(400, "ExpiredToken");
    describe_db_instances().send(&sandbox, &old).await.is(403, "ExpiredToken");

    let new = call.send(&sandbox, &demo(&sandbox)).await.key();
    list_buckets().send(&sandbox, &new).await.is(200, "");
}

#[tokio::test]
async fn the_told_lifetime_replaces_the_one_that_was_asked_for() {
    let lifetime = Duration::from_secs(10);
    let sandbox = Sandbox::builder().session_lifetime(lifetime).start().await.unwrap();
    let answer = assume_role("demo", &[]).send(&sandbox, &demo(&sandbox)).await;
    let expiration: jiff::Timestamp = answer.xml("Expiration").unwrap().parse().unwrap();
    let now = jiff::Timestamp::try_from(clock(0)).unwrap();
    assert!(expiration.as_second() <= now.as_second() + 11, "{expiration} at {now}");
    sandbox.advance(Duration::from_secs(11));
    list_buckets().send(&sandbox, &answer.key()).await.is(400, "ExpiredToken");

    let asked = assume_role("demo", &[("DurationSeconds", "10")]);
    asked.send(&sandbox, &demo(&sandbox)).await.is(400, "ValidationError");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_was_asked() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    for (asked, lasts) in [(None, 3600), (Some("900"), 900), (Some("43200"), 43_200)] {
        let asked: Vec<_> = asked.map(|seconds| ("DurationSeconds", seconds)).into_iter().collect();
        let before = jiff::Timestamp::try_from(clock(0)).unwrap().as_second();
        let answer = assume_role("demo", &asked).send(&sandbox, &demo(&sandbox)).await;
        let after = jiff::Timestamp::try_from(clock(0)).unwrap().as_second();
        let expiration: jiff::Timestamp = answer.xml("Expiration").unwrap().parse().unwrap();
        let range = before + lasts..=after + lasts + 1;
        assert!(range.contains(&expiration.as_second()), "{expiration} of {asked:?}");
    }
}

#[tokio::test]
async fn a_revoked_session_is_denied_but_still_knows_who_it_is() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let demo_session = assume_role("demo", &[]).send(&sandbox, &user).await.key();
    let short_session = assume_role("short", &[]).send(&sandbox, &user).await.key();
    assert_eq!(sandbox.revoke_sessions("demo"), 1);

    list_buckets().send(&sandbox, &demo_session).await.is(403, "AccessDenied");
    describe_db_instances().send(&sandbox, &demo_session).await.is(403, "AccessDenied");
    assume_role("chained", &[]).send(&sandbox, &demo_session).await.is(403, "AccessDenied");
    sts("GetCallerIdentity", &[]).send(&sandbox, &demo_session).await.is(200, "");
    list_buckets().send(&sandbox, &short_session).await.is(200, "");

    let new = assume_role("demo", &[]).send(&sandbox, &user).await.key();
    list_buckets().send(&sandbox, &new).await.is(200, "");
    assert_eq!(sandbox.revoke_sessions(Revoke::AccessKey(new.id.clone())), 1);
    list_buckets().send(&sandbox, &new).await.is(403, "AccessDenied");
    list_buckets().send(&sandbox, &short_session).await.is(200, "");
    assert_eq!(sandbox.revoke_sessions(Revoke::AccessKey(user.id.clone())), 3);
    list_buckets().send(&sandbox, &short_session).await.is(403, "AccessDenied");
}

#[tokio::test]
async fn a_session_token_calls_only_assume_role_and_get_caller_identity() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let answer = sts("GetSessionToken", &[]).send(&sandbox, &demo(&sandbox)).await;
    answer.is(200, "");
    let session = answer.key();
    let who = sts("GetCallerIdentity", &[]).send(&sandbox, &session).await;
    assert_eq!(who.xml("Arn").unwrap(), "arn:aws:iam::123456789012:user/demo");
    assume_role("demo", &[]).send(&sandbox, &session).await.is(200, "");
    sts("GetSessionToken", &[]).send(&sandbox, &session).await.is(403, "AccessDenied");
    let federate = sts("GetFederationToken", &[("Name", "bob")]);
    federate.send(&sandbox, &session).await.is(403, "AccessDenied");
    list_buckets().send(&sandbox, &session).await.is(200, "");
}

#[tokio::test]
async fn a_federated_user_calls_no_sts_but_get_caller_identity() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let federate = sts("GetFederationToken", &[("Name", "bob"), ("Policy", "{}")]);
    let answer = federate.send(&sandbox, &demo(&sandbox)).await;
    answer.is(200, "");
    let arn = "arn:aws:sts::123456789012:federated-user/bob";
    assert_eq!(answer.xml("Arn").unwrap(), arn);
    assert_eq!(answer.xml("FederatedUserId").unwrap(), "123456789012:bob");
    let session = answer.key();
    let who = sts("GetCallerIdentity", &[]).send(&sandbox, &session).await;
    assert_eq!(who.xml("Arn").unwrap(), arn);
    assume_role("demo", &[]).send(&sandbox, &session).await.is(403, "AccessDenied");
    list_buckets().send(&sandbox, &session).await.is(200, "");
}

#[tokio::test]
async fn a_roles_session_calls_neither_get_session_token_nor_get_federation_token() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let session = assume_role("demo", &[]).send(&sandbox, &demo(&sandbox)).await.key();
    sts("GetSessionToken", &[]).send(&sandbox, &session).await.is(403, "AccessDenied");
    let federate = sts("GetFederationToken", &[("Name", "bob")]);
    federate.send(&sandbox, &session).await.is(403, "AccessDenied");
}

#[tokio::test]
async fn a_role_with_allowed_actions_is_denied_all_others() {
    let config = Config::from_toml(
        r#"
        [users.demo]
        access_key_id = "AKIAROLEKEEPERSANDBX"
        secret_access_key = "secret"
        [roles.reader]
        trust = ["user/demo"]
        allowed_actions = ["s3:*"]
        "#,
    );
    let sandbox = Sandbox::builder().config(config.unwrap()).start().await.unwrap();
    let session = assume_role("reader", &[]).send(&sandbox, &demo(&sandbox)).await.key();
    list_buckets().send(&sandbox, &session).await.is(200, "");
    describe_db_instances().send(&sandbox, &session).await.is(403, "AccessDenied");
    assume_role("reader", &[]).send(&sandbox, &session).await.is(403, "AccessDenied");
    sts("GetCallerIdentity", &[]).send(&sandbox, &session).await.is(200, "");
}

#[tokio::test]
async fn an_operation_the_service_has_not_got_is_told() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let key = demo(&sandbox);
    let answer = sts("AssumeEverything", &[]).send(&sandbox, &key).await;
    answer.is(400, "InvalidAction");
    assert_eq!(
        answer.message(),
        "Could not find operation AssumeEverything for version 2011-06-15"
    );
    let other = query("sts", "2010-01-01", "GetCallerIdentity", &[]);
    other.send(&sandbox, &key).await.is(400, "InvalidAction");
    let mut bucket = list_buckets();
    bucket.target = "/some-bucket".to_owned();
    bucket.send(&sandbox, &key).await.is(404, "NoSuchBucket");
    let mut elsewhere = sts("GetCallerIdentity", &[]);
    elsewhere.service = "sqs";
    elsewhere.send(&sandbox, &key).await.is(403, "SignatureDoesNotMatch");
}
