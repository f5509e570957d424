//! What is refused before any call, in which words, and what is not.

use std::time::Duration;

use rolekeeper::{
    FailureKind,
    sources::{AssumeRole, AssumeRoleBuilder, Base, Surroundings},
};

use crate::support::{Files, NO_VARIABLES, told};

const ROLE: &str = "arn:aws:iam::123456789012:role/demo";

fn builder(role: &str) -> AssumeRoleBuilder {
    AssumeRole::builder(role)
        .region("eu-central-1")
        .base(Base::keys("AKIA", &rolekeeper::Secret::new("secret"), None))
        .surroundings(Surroundings::with_variables(NO_VARIABLES))
}

async fn refusal(builder: AssumeRoleBuilder) -> String {
    let failure = builder.build().await.expect_err("should be refused");
    assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
    assert!(!failure.message.contains('\n') && failure.message.starts_with(char::is_alphanumeric));
    told(&failure)
}

#[tokio::test]
async fn each_limit_is_told_with_the_value_the_limit_and_what_to_do() {
    let b = || builder(ROLE);
    let tags = |count: usize| (0..count).fold(b(), |b, i| b.tag(format!("key{i}"), "v"));
    for (builder, expected) in [
        (
            builder("role/demo"),
            "the role ARN `role/demo` is not an ARN [write it as arn:aws:iam::123456789012:role/NAME]",
        ),
        (
            builder("arn:aws:iam::1:role"),
            "the role ARN `arn:aws:iam::1:role` has 19 characters, fewer than 20 [give it 20 to 2048 characters]",
        ),
        (
            b().session_name("x"),
            "the session name `x` has 1 characters, fewer than 2 [give it 2 to 64 characters]",
        ),
        (
            b().session_name("nightly backup"),
            "the session name `nightly backup` has the character ' ', which STS refuses [use letters, digits and any of _+=,.@-]",
        ),
        (
            b().session_name("größe"),
            "the session name `größe` has the character 'ö', which STS refuses [use letters, digits and any of _+=,.@-]",
        ),
        (
            b().duration(Duration::from_secs(899)),
            "the duration of 899 s is not between 900 s and 43200 s [give 15 minutes to 12 hours, and no more than the role's own maximum]",
        ),
        (
            b().duration(Duration::from_secs(43_201)),
            "the duration of 43201 s is not between 900 s and 43200 s [give 15 minutes to 12 hours, and no more than the role's own maximum]",
        ),
        (
            b().external_id("a"),
            "the external id `a` has 1 characters, fewer than 2 [give it 2 to 1224 characters]",
        ),
        (
            b().external_id("a b"),
            "the external id `a b` has the character ' ', which STS refuses [use letters, digits and any of _+=,.@:/-]",
        ),
        (
            b().source_identity("aws:me"),
            "the source identity `aws:me` starts with `aws:`, which AWS keeps for itself [choose one that does not start with `aws:`]",
        ),
        (
            b().mfa_serial("12345678"),
            "the MFA serial `12345678` has 8 characters, fewer than 9 [give it 9 to 256 characters]",
        ),
        (
            b().policy("[]"),
            r#"the inline policy is not a JSON object: it is another kind of JSON value [write it as {"Version":"2012-10-17","Statement":[…]}]"#,
        ),
        (
            b().policy("{"),
            r#"the inline policy is not a JSON object: EOF while parsing an object at line 1 column 1 [write it as {"Version":"2012-10-17","Statement":[…]}]"#,
        ),
        (
            b().policy_arn("ReadOnlyAccess"),
            "the policy ARN `ReadOnlyAccess` is not an ARN [write it as arn:aws:iam::aws:policy/NAME]",
        ),
        (
            (0..11).fold(b(), |b, i| b.policy_arn(format!("arn:aws:iam::aws:policy/P{i}"))),
            "11 policy ARNs were given, more than 10 [give at most 10]",
        ),
        (tags(51), "51 session tags were given, more than 50 [give at most 50]"),
        (
            b().tag("Team", "a").tag("team", "b"),
            "the tag key `team` was given twice (also as `Team`; STS ignores case) [give each tag once]",
        ),
        (
            b().tag("", "a"),
            "the tag key `` has 0 characters, fewer than 1 [give it 1 to 128 characters]",
        ),
        (
            b().tag("k".repeat(129), ""),
            &format!(
                "the tag key `{}…` has 129 characters, more than 128 [give it 1 to 128 characters]",
                "k".repeat(80)
            ),
        ),
        (
            b().tag("k", "v".repeat(257)),
            &format!(
                "the value of the tag `k` `{}…` has 257 characters, more than 256 [give it 0 to 256 characters]",
                "v".repeat(80)
            ),
        ),
        (
            (0..51).fold(b(), |b, i| b.transitive_tag_key(format!("k{i}"))),
            "51 transitive tag keys were given, more than 50 [give at most 50]",
        ),
        (
            (0..6).fold(b(), |b, _| {
                b.provided_context("arn:aws:iam::aws:contextProvider/X", "assertion")
            }),
            "6 provided contexts were given, more than 5 [give at most 5]",
        ),
        (
            b().provided_context("arn:aws:iam::aws:contextProvider/X", "abc"),
            "the assertion of `arn:aws:iam::aws:contextProvider/X` has 3 characters, not 4 to 2048 [pass the assertion as the provider issued it]",
        ),
        (
            b().endpoint_url("localhost:8080"),
            "the endpoint URL `localhost:8080` is not a URL [write it as https://HOST or http://HOST:PORT]",
        ),
    ] {
        assert_eq!(refusal(builder).await, expected);
    }
}

#[tokio::test]
async fn nothing_is_refused_that_the_service_takes() {
    let b = || builder(ROLE);
    let longest = "x".repeat(64);
    for builder in [
        builder("arn:aws:iam:::role/x-y"),
        builder("arn:aws-cn:iam::123456789012:role/path/to/demo"),
        builder("arn:xxx:xxx:xxx:xxxx"),
        b().session_name("ab").duration(Duration::from_secs(900)),
        b().session_name(longest.clone()).duration(Duration::from_secs(43_200)),
        b().session_name("a_b+c=d,e.f@g-h"),
        b().source_identity(longest),
        b().external_id("a:b/c").mfa_serial("GAHT12345678"),
        b().policy(r#"{"Statement": []}"#.to_owned() + &" ".repeat(3000)),
        b().tag("Ключ", "").tag("k".repeat(128), "v".repeat(256)),
        (0..50)
            .fold(b(), |b, i| b.tag(format!("key{i}"), "v").transitive_tag_key(format!("key{i}"))),
        (0..10).fold(b(), |b, i| b.policy_arn(format!("arn:aws:iam::aws:policy/P{i}"))),
        (0..5).fold(b(), |b, _| {
            b.provided_context("arn:aws:iam::aws:contextProvider/X", "assertion")
        }),
    ] {
        let built = builder.build().await;
        assert!(built.is_ok(), "{built:?}");
    }
}

#[tokio::test]
async fn without_a_region_nothing_is_called_unless_there_is_an_endpoint_url() {
    let files = Files::new("[default]\n", "");
    let role = |more: &[(&str, &str)]| {
        AssumeRole::builder(ROLE)
            .base(Base::keys("AKIA", &rolekeeper::Secret::new("secret"), None))
            .surroundings(files.seen(more))
    };
    assert_eq!(
        refusal(role(&[])).await,
        "no Region is set to call STS in [set AWS_REGION, or `region` in the profile, or pass a Region]"
    );
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let role = role(&[(variable, "http://127.0.0.1:1")]).build().await.unwrap();
        let shown = format!("{role:?}");
        assert!(shown.contains("us-east-1") && shown.contains("http://127.0.0.1:1"), "{shown}");
    }
    assert!(role(&[]).endpoint_url("http://127.0.0.1:1").build().await.is_ok());
}

#[tokio::test]
async fn the_region_is_the_explicit_one_then_the_environments_then_the_profiles() {
    let files = Files::new("[default]\nregion = af-south-1\n[profile p]\nregion = eu-west-3\n", "");
    let all: [(&str, &str); 3] =
        [("AWS_REGION", "eu-north-1"), ("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_PROFILE", "p")];
    for (explicit, variables, expected) in [
        (Some("ap-south-1"), &all[..], "ap-south-1"),
        (None, &all[..], "eu-north-1"),
        (None, &all[1..], "eu-west-2"),
        (None, &all[2..], "eu-west-3"),
        (None, &[][..], "af-south-1"),
    ] {
        let mut builder = AssumeRole::builder(ROLE)
            .base(Base::keys("AKIA", &rolekeeper::Secret::new("secret"), None))
            .surroundings(files.seen(variables));
        if let Some(region) = explicit {
            builder = builder.region(region);
        }
        let shown = format!("{:?}", builder.build().await.unwrap());
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}

#[tokio::test]
async fn no_secret_is_shown() {
    let secrets = ["the-secret-key", "the-token", "the-assertion", "the-other-key"];
    let base = Base::keys(
        "AKIASHOWN",
        &rolekeeper::Secret::new(secrets[0]),
        Some(&rolekeeper::Secret::new(secrets[1])),
    );
    let builder = builder(ROLE)
        .base(base.clone())
        .provided_context("arn:aws:iam::aws:contextProvider/X", secrets[2])
        .surroundings(Surroundings::with_variables([("AWS_SECRET_ACCESS_KEY", secrets[3])]));
    let shown = format!("{base:?} {builder:?} {:?}", builder.clone().build().await.unwrap());
    assert!(shown.contains("AKIASHOWN"));
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
