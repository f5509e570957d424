//! Who is the same: the key of a store covers everything that makes a session.

use std::{collections::BTreeMap, time::Duration};

use rolekeeper::{
    Secret, Source,
    sources::{AssumeRole, AssumeRoleBuilder, Base, Callback, Profile, Surroundings, WebIdentity},
    stores::StoreKey,
};

use crate::support::{Files, shared};

const ROLE: &str = "arn:aws:iam::123456789012:role/etl";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

type Change = fn(AssumeRoleBuilder) -> AssumeRoleBuilder;

fn keys(id: &str, secret: &str) -> Base {
    Base::keys(id, &Secret::new(secret), None)
}

fn plain(role: &str) -> AssumeRoleBuilder {
    AssumeRole::builder(role)
        .region("eu-central-1")
        .base(keys("AKIAONE", "first"))
        .surroundings(Surroundings::with_variables([("USER", "me")]))
}

async fn key(source: &dyn Source) -> StoreKey {
    source.store_key().await.unwrap().unwrap()
}

/// No two of these have the same key, and each has the same one each time.
#[track_caller]
fn assert_all_differ(keys: &[(String, StoreKey, StoreKey)]) {
    let mut seen = BTreeMap::new();
    for (name, key, again) in keys {
        assert_eq!(key, again, "{name} is not the same each time");
        if let Some(other) = seen.insert(key, name) {
            panic!("{name} and {other} have the same key");
        }
    }
}

#[tokio::test]
async fn each_parameter_of_assume_role_makes_another_key() {
    let changes: &[(&str, Change)] = &[
        ("nothing", |role| role),
        ("session name", |role| role.session_name("job")),
        ("another session name", |role| role.session_name("job2")),
        ("duration", |role| role.duration(Duration::from_secs(900))),
        ("default duration, told", |role| role.duration(Duration::from_secs(3600))),
        ("external id", |role| role.external_id("customer-7")),
        ("policy", |role| role.policy(POLICY)),
        ("policy ARN", |role| role.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")),
        ("two policy ARNs", |role| {
            role.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
                .policy_arn("arn:aws:iam::aws:policy/job-function/Billing")
        }),
        ("tag", |role| role.tag("team", "storage")),
        ("another value", |role| role.tag("team", "compute")),
        ("another key", |role| role.tag("group", "storage")),
        ("two tags", |role| role.tag("team", "storage").tag("a", "b")),
        ("transitive tag key", |role| role.tag("team", "storage").transitive_tag_key("team")),
        ("source identity", |role| role.source_identity("alice")),
        ("MFA serial", |role| role.mfa_serial("arn:aws:iam::123456789012:mfa/alice")),
        ("context", |role| {
            role.provided_context("arn:aws:iam::aws:contextProvider/IdentityCenter", "assertion")
        }),
        ("Region", |role| role.region("eu-west-1")),
        ("partition", |role| role.region("cn-north-1")),
        ("endpoint", |role| role.endpoint_url("http://127.0.0.1:1")),
        ("FIPS", |role| role.region("us-east-1").fips(true)),
        ("no FIPS", |role| role.region("us-east-1")),
        ("dual stack", |role| role.region("us-east-1").dual_stack(true)),
        ("base key", |role| role.base(keys("AKIATWO", "first"))),
        ("base secret", |role| role.base(keys("AKIAONE", "second"))),
    ];
    let mut found = Vec::new();
    for (name, change) in changes {
        let role = change(plain(ROLE)).build().await.unwrap();
        let again = change(plain(ROLE)).build().await.unwrap();
        found.push(((*name).to_owned(), key(&role).await, key(&again).await));
    }
    for role in ["arn:aws:iam::123456789012:role/etl2", "arn:aws:iam::210987654321:role/etl"] {
        let source = plain(role).build().await.unwrap();
        found.push((role.to_owned(), key(&source).await, key(&source).await));
    }
    assert_all_differ(&found);
}

#[tokio::test]
async fn a_chained_role_counts_by_the_whole_chain() {
    let mut found = Vec::new();
    for (name, base, middle) in [
        ("one", keys("AKIAONE", "first"), "arn:aws:iam::123456789012:role/middle"),
        ("another base", keys("AKIATWO", "second"), "arn:aws:iam::123456789012:role/middle"),
        ("another middle", keys("AKIAONE", "first"), "arn:aws:iam::123456789012:role/other"),
    ] {
        let middle = plain(middle).base(base).build().await.unwrap();
        let end = plain(ROLE).base(Base::role(shared(middle))).build().await.unwrap();
        found.push((name.to_owned(), key(&end).await, key(&end).await));
    }
    let direct = plain(ROLE).build().await.unwrap();
    found.push(("direct".to_owned(), key(&direct).await, key(&direct).await));
    assert_all_differ(&found);
}

#[tokio::test]
async fn two_profiles_of_the_same_role_share_only_if_they_stand_on_the_same_keys() {
    let config = format!(
        "[profile a]\nrole_arn = {ROLE}\nsource_profile = one\n\
         [profile b]\nrole_arn = {ROLE}\nsource_profile = two\n\
         [profile c]\nrole_arn = {ROLE}\nsource_profile = one\n"
    );
    let credentials = "[one]\naws_access_key_id = AKIAONE\naws_secret_access_key = first\n\
         [two]\naws_access_key_id = AKIATWO\naws_secret_access_key = second\n";
    let files = Files::new(&config, credentials);
    let profile = async |name: &str| {
        let seen = Surroundings::with_variables([
            ("AWS_CONFIG_FILE", files.path("config").as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", files.path("credentials").as_str()),
            ("AWS_REGION", "eu-central-1"),
        ]);
        key(&Profile::named(name).surroundings(seen).build().await.unwrap()).await
    };
    let (a, b, c) = (profile("a").await, profile("b").await, profile("c").await);
    assert_ne!(a, b);
    assert_eq!(a, c);
    // Keys that were replaced are another source.
    files.write("credentials", &credentials.replace("first", "third"));
    assert_ne!(profile("a").await, a);
}

/// A token with these claims, of which only the middle part counts.
fn token(claims: &serde_json::Value, signature: &str) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let payload = Base64UrlUnpadded::encode_string(claims.to_string().as_bytes());
    format!("eyJhbGciOiJSUzI1NiJ9.{payload}.{signature}")
}

#[tokio::test]
async fn a_web_identity_counts_by_who_it_is_and_not_by_the_token_of_the_hour() {
    let files = Files::new("", "");
    let of = async |text: &str| {
        files.write("token", text);
        let identity = WebIdentity::builder(ROLE, files.path("token"))
            .region("eu-central-1")
            .surroundings(Surroundings::with_variables([("USER", "me")]))
            .build()
            .await
            .unwrap();
        key(&identity).await
    };
    let claims = |sub: &str, aud: &str, exp: u32| serde_json::json!({"iss": "https://oidc.example", "sub": sub, "aud": [aud], "exp": exp});
    let pod = claims("system:serviceaccount:jobs:etl", "sts.amazonaws.com", 1);
    let first = of(&token(&pod, "aaaa")).await;
    let later = claims("system:serviceaccount:jobs:etl", "sts.amazonaws.com", 2);
    assert_eq!(of(&token(&later, "bbbb")).await, first);
    let mut others = vec![
        of(&token(&claims("system:serviceaccount:jobs:web", "sts.amazonaws.com", 1), "aaaa")).await,
        of(&token(&claims("system:serviceaccount:jobs:etl", "another", 1), "aaaa")).await,
        // Of no known form: by their text.
        of("an opaque token").await,
        of("another opaque token").await,
        of("a.b.c").await,
        of(&token(&serde_json::json!({"sub": "without an issuer"}), "aaaa")).await,
        first,
    ];
    others.sort_unstable();
    let count = others.len();
    others.dedup();
    assert_eq!(others.len(), count);
}

#[tokio::test]
async fn what_is_not_known_is_not_shared() {
    let callback =
        Callback::new("mine", async || Err(rolekeeper::Failure::unavailable("not asked")));
    assert_eq!(callback.store_key().await, Ok(None));
    // Nor is what stands on it.
    let role = plain(ROLE).base(Base::role(shared(callback))).build().await.unwrap();
    assert_eq!(role.store_key().await, Ok(None));
}

#[test]
fn parts_of_a_key_do_not_run_into_each_other() {
    let key = |parts: &[(&str, &str)]| {
        let key = StoreKey::of("test");
        parts.iter().fold(key, |key, (name, value)| key.with(name, value)).build()
    };
    let keys = [
        key(&[("a", "bc")]),
        key(&[("ab", "c")]),
        key(&[("a", "b"), ("c", "")]),
        key(&[("a", ""), ("bc", "")]),
        key(&[]),
        StoreKey::of("test").with_option("a", None::<&str>).build(),
        StoreKey::of("test").with_option("a", Some("")).build(),
        StoreKey::of("tes").with("t", "").build(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
    assert_eq!(keys[0].to_string().len(), 64);
}
