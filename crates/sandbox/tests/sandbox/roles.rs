//! Who may assume which role, for how long, and with what parameters.

use crate::common::{assume_role, demo, sts};
use rolekeeper_sandbox::{Config, Sandbox};

const SERIAL: &str = "arn:aws:iam::123456789012:mfa/demo";

#[tokio::test]
async fn a_role_is_assumed_only_by_whom_it_trusts() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let answer = assume_role("forbidden", &[]).send(&sandbox, &user).await;
    answer.is(403, "AccessDenied");
    assert_eq!(
        answer.message(),
        "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: sts:AssumeRole \
         on resource: arn:aws:iam::123456789012:role/forbidden"
    );
    assume_role("chained", &[]).send(&sandbox, &user).await.is(403, "AccessDenied");
    let session = assume_role("demo", &[]).send(&sandbox, &user).await.key();
    assume_role("chained", &[]).send(&sandbox, &session).await.is(200, "");
    assume_role("demo", &[]).send(&sandbox, &session).await.is(403, "AccessDenied");
}

#[tokio::test]
async fn a_role_that_does_not_exist_is_access_denied_as_with_the_real_sts() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    for arn in ["arn:aws:iam::123456789012:role/nobody", "arn:aws:iam::210987654321:role/demo"] {
        let call = assume_role("demo", &[("RoleArn", arn)]);
        call.send(&sandbox, &demo(&sandbox)).await.is(403, "AccessDenied");
    }
}

#[tokio::test]
async fn an_external_id_must_be_the_roles_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    for (told, code) in [
        (None, "AccessDenied"),
        (Some("sandbox-external-ie"), "AccessDenied"),
        (Some("sandbox-external-id"), ""),
    ] {
        let more: Vec<_> = told.map(|id| ("ExternalId", id)).into_iter().collect();
        let answer = assume_role("external", &more).send(&sandbox, &demo(&sandbox)).await;
        assert_eq!(answer.code(), code, "{told:?}");
    }
}

#[tokio::test]
async fn a_role_that_needs_mfa_takes_each_code_once() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    assume_role("mfa", &[]).send(&sandbox, &user).await.is(403, "AccessDenied");

    let code = sandbox.mfa_code(SERIAL).unwrap();
    let call = assume_role("mfa", &[("SerialNumber", SERIAL), ("TokenCode", &code)]);
    call.send(&sandbox, &user).await.is(200, "");
    let answer = call.send(&sandbox, &user).await;
    answer.is(403, "AccessDenied");
    assert!(answer.message().starts_with("MultiFactorAuthentication failed"), "{answer:?}");
}

#[tokio::test]
async fn a_wrong_code_is_denied_even_where_none_is_needed() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let right = sandbox.mfa_code(SERIAL).unwrap();
    let other = "arn:aws:iam::123456789012:mfa/other";
    let call = assume_role("demo", &[("SerialNumber", other), ("TokenCode", &right)]);
    call.send(&sandbox, &user).await.is(403, "AccessDenied");
    // A code that was used is wrong for certain; any other could be right in a minute.
    let call = assume_role("demo", &[("SerialNumber", SERIAL), ("TokenCode", &right)]);
    call.send(&sandbox, &user).await.is(200, "");
    call.send(&sandbox, &user).await.is(403, "AccessDenied");
    assume_role("demo", &[("SerialNumber", SERIAL)])
        .send(&sandbox, &user)
        .await
        .is(400, "ValidationError");
}

#[tokio::test]
async fn a_session_token_got_with_mfa_carries_it_to_the_role() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let without = sts("GetSessionToken", &[]).send(&sandbox, &user).await.key();
    assume_role("mfa", &[]).send(&sandbox, &without).await.is(403, "AccessDenied");
    let code = sandbox.mfa_code(SERIAL).unwrap();
    let proof = [("SerialNumber", SERIAL), ("TokenCode", code.as_str())];
    let with = sts("GetSessionToken", &proof).send(&sandbox, &user).await.key();
    assume_role("mfa", &[]).send(&sandbox, &with).await.is(200, "");
}

#[tokio::test]
async fn a_duration_beyond_the_roles_maximum_is_refused() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    for (role, seconds, code) in [
        ("short", "3600", ""),
        ("short", "3601", "ValidationError"),
        ("demo", "43200", ""),
        ("demo", "43201", "ValidationError"),
        ("demo", "899", "ValidationError"),
    ] {
        let call = assume_role(role, &[("DurationSeconds", seconds)]);
        assert_eq!(call.send(&sandbox, &user).await.code(), code, "{role} {seconds}");
    }
    let answer = assume_role("short", &[("DurationSeconds", "3601")]).send(&sandbox, &user).await;
    assert!(answer.message().contains("MaxSessionDuration"), "{answer:?}");
}

#[tokio::test]
async fn a_role_assumed_by_a_role_lasts_an_hour_at_most() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let session = assume_role("demo", &[]).send(&sandbox, &demo(&sandbox)).await.key();
    let hour = assume_role("chained", &[("DurationSeconds", "3600")]);
    hour.send(&sandbox, &session).await.is(200, "");
    let more = assume_role("chained", &[("DurationSeconds", "3601")]);
    let answer = more.send(&sandbox, &session).await;
    answer.is(400, "ValidationError");
    assert!(answer.message().contains("role chaining"), "{answer:?}");
}

#[tokio::test]
async fn a_source_identity_is_carried_on_and_cannot_be_changed() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let call = assume_role("demo", &[("SourceIdentity", "alice")]);
    let answer = call.send(&sandbox, &demo(&sandbox)).await;
    assert_eq!(answer.xml("SourceIdentity").unwrap(), "alice");
    let session = answer.key();
    let answer = assume_role("chained", &[]).send(&sandbox, &session).await;
    assert_eq!(answer.xml("SourceIdentity").unwrap(), "alice");
    let same = assume_role("chained", &[("SourceIdentity", "alice")]);
    same.send(&sandbox, &session).await.is(200, "");
    let other = assume_role("chained", &[("SourceIdentity", "mallory")]);
    other.send(&sandbox, &session).await.is(403, "AccessDenied");
    let reserved = assume_role("demo", &[("SourceIdentity", "aws:alice")]);
    reserved.send(&sandbox, &demo(&sandbox)).await.is(400, "ValidationError");
}

#[tokio::test]
async fn a_transitive_tag_cannot_be_set_again_down_the_chain() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let tagged = [
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "a"),
        ("Tags.member.2.Key", "Stage"),
        ("Tags.member.2.Value", "b"),
        ("TransitiveTagKeys.member.1", "Team"),
    ];
    let session = assume_role("demo", &tagged).send(&sandbox, &demo(&sandbox)).await.key();
    for (key, status) in [("team", 400), ("Stage", 200)] {
        let more = [("Tags.member.1.Key", key), ("Tags.member.1.Value", "c")];
        let answer = assume_role("chained", &more).send(&sandbox, &session).await;
        assert_eq!(answer.status, status, "{key}: {answer:?}");
    }
}

#[tokio::test]
async fn a_disabled_region_is_told() {
    let config = Config::from_toml(
        r#"
        disabled_regions = ["me-south-1"]
        [users.demo]
        access_key_id = "AKIAROLEKEEPERSANDBX"
        secret_access_key = "secret"
        [roles.demo]
        trust = ["root"]
        "#,
    );
    let sandbox = Sandbox::builder().config(config.unwrap()).start().await.unwrap();
    let mut call = assume_role("demo", &[]);
    call.send(&sandbox, &demo(&sandbox)).await.is(200, "");
    call.region = "me-south-1".to_owned();
    call.send(&sandbox, &demo(&sandbox)).await.is(403, "RegionDisabledException");
}

#[tokio::test]
async fn parameters_outside_the_services_limits_are_refused_by_name() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let long = |length: usize| "x".repeat(length);
    for (name, value, field) in [
        ("RoleArn", "arn:aws:iam::1:role".to_owned(), "roleArn"),
        ("RoleArn", long(2049), "roleArn"),
        ("RoleSessionName", long(1), "roleSessionName"),
        ("RoleSessionName", long(65), "roleSessionName"),
        ("RoleSessionName", "a b".to_owned(), "roleSessionName"),
        ("SourceIdentity", "a/b".to_owned(), "sourceIdentity"),
        ("ExternalId", long(1), "externalId"),
        ("ExternalId", long(1225), "externalId"),
        ("SerialNumber", long(8), "serialNumber"),
        ("SerialNumber", long(257), "serialNumber"),
        ("TokenCode", "12345".to_owned(), "tokenCode"),
        ("TokenCode", "12345x".to_owned(), "tokenCode"),
        ("DurationSeconds", "soon".to_owned(), "durationSeconds"),
    ] {
        let answer = assume_role("demo", &[(name, &value)]).send(&sandbox, &user).await;
        answer.is(400, "ValidationError");
        assert!(answer.message().contains(&format!("at '{field}' failed")), "{answer:?}");
    }
    let answer = sts("AssumeRole", &[]).send(&sandbox, &user).await;
    assert!(answer.message().starts_with("2 validation errors detected: Value null at 'roleArn'"));
    for name in ["a", &long(33), "a b"] {
        let call = sts("GetFederationToken", &[("Name", name)]);
        call.send(&sandbox, &user).await.is(400, "ValidationError");
    }
    for seconds in ["899", "129601"] {
        let call = sts("GetSessionToken", &[("DurationSeconds", seconds)]);
        call.send(&sandbox, &user).await.is(400, "ValidationError");
    }
}

#[tokio::test]
async fn lists_are_no_longer_than_the_service_takes() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    for (pattern, value, most) in [
        ("PolicyArns.member.#.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", 10),
        ("TransitiveTagKeys.member.#", "key", 50),
        ("ProvidedContexts.member.#.ProviderArn", "arn:aws:iam::aws:contextProvider/x", 5),
    ] {
        for (length, status) in [(most, 200), (most + 1, 400)] {
            let names: Vec<String> =
                (1..=length).map(|n| pattern.replace('#', &n.to_string())).collect();
            let more: Vec<_> = names.iter().map(|name| (name.as_str(), value)).collect();
            let answer = assume_role("demo", &more).send(&sandbox, &user).await;
            assert_eq!(answer.status, status, "{length} of {pattern}: {answer:?}");
        }
    }
    let twice = [
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", "1"),
        ("Tags.member.2.Key", "A"),
        ("Tags.member.2.Value", "2"),
    ];
    assume_role("demo", &twice).send(&sandbox, &user).await.is(400, "InvalidParameterValue");
}

#[tokio::test]
async fn a_policy_is_json_and_its_packed_size_is_told() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let user = demo(&sandbox);
    let answer = assume_role("demo", &[("Policy", r#"{"Version": "2012-10-17"}"#)]);
    let answer = answer.send(&sandbox, &user).await;
    assert_eq!(answer.xml("PackedPolicySize").unwrap(), "1");
    assert!(assume_role("demo", &[]).send(&sandbox, &user).await.xml("PackedPolicySize").is_none());

    let broken = assume_role("demo", &[("Policy", "{")]);
    broken.send(&sandbox, &user).await.is(400, "MalformedPolicyDocument");
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(5000));
    let large = assume_role("demo", &[("Policy", &large)]);
    large.send(&sandbox, &user).await.is(400, "PackedPolicyTooLarge");
}
