//! Whose sessions may be the AWS CLI's too: those that a profile of botocore's could say.

use std::time::Duration;

use rolekeeper::{
    Secret, Source,
    sources::{AssumeRole, AssumeRoleBuilder, Base, Callback, Profile, Surroundings, WebIdentity},
};

use crate::support::{Files, shared};

const ROLE: &str = "arn:aws:iam::123456789012:role/etl";

/// What botocore 1.44.5 calls the session of `ROLE` with no other parameter, and with the session's
/// name `job`; the library's own tests have more.
const PLAIN: &str = "c2bbf6b13701d249de25ee17141564c118087d5a";
const JOB: &str = "0abe6af6670387352772c08b51e699aa71e03a8d";

type Change = fn(AssumeRoleBuilder) -> AssumeRoleBuilder;

fn plain() -> AssumeRoleBuilder {
    AssumeRole::builder(ROLE)
        .region("eu-central-1")
        .base(Base::keys("AKIAONE", &Secret::new("first"), None))
        .surroundings(Surroundings::with_variables([("USER", "me")]))
}

fn name(source: &dyn Source) -> Option<String> {
    source.aws_cache_key().map(|key| key.name().to_owned())
}

#[tokio::test]
async fn a_role_is_known_by_its_parameters_and_not_by_who_assumes_it() {
    assert_eq!(name(&plain().build().await.unwrap()).as_deref(), Some(PLAIN));
    let other = plain().base(Base::keys("AKIATWO", &Secret::new("second"), None));
    assert_eq!(name(&other.region("eu-west-1").build().await.unwrap()).as_deref(), Some(PLAIN));
    assert_eq!(name(&plain().session_name("job").build().await.unwrap()).as_deref(), Some(JOB));
    let all = plain()
        .external_id("a:b/c=d")
        .mfa_serial("GAHT12345678")
        .duration(Duration::from_secs(900))
        .session_name("job@host");
    assert_eq!(
        name(&all.build().await.unwrap()).as_deref(),
        Some("819c382c9f82babd7485adebb9e20c2a2cc31949")
    );
}

#[tokio::test]
async fn what_no_profile_says_is_in_no_cache() {
    let changes: &[(&str, Change)] = &[
        ("policy", |role| role.policy(r#"{"Version":"2012-10-17","Statement":[]}"#)),
        ("policy ARN", |role| role.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")),
        ("tag", |role| role.tag("team", "storage")),
        ("transitive tag key", |role| role.transitive_tag_key("team")),
        ("source identity", |role| role.source_identity("alice")),
        ("context", |role| {
            role.provided_context("arn:aws:iam::aws:contextProvider/IdentityCenter", "assertion")
        }),
    ];
    for (what, change) in changes {
        assert_eq!(name(&change(plain()).build().await.unwrap()), None, "{what}");
    }
    let callback =
        Callback::new("mine", async || Err(rolekeeper::Failure::unavailable("not asked")));
    assert_eq!(name(&callback), None);
}

#[tokio::test]
async fn a_profile_goes_by_its_role() {
    let files = Files::new(
        &format!(
            "[profile etl]\nrole_arn = {ROLE}\nsource_profile = one\nrole_session_name = job\n"
        ),
        "[one]\naws_access_key_id = AKIAONE\naws_secret_access_key = first\n",
    );
    let profile = async |name: &str| {
        let seen = Surroundings::with_variables([
            ("AWS_CONFIG_FILE", files.path("config").as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", files.path("credentials").as_str()),
            ("AWS_REGION", "eu-central-1"),
        ]);
        Profile::named(name).surroundings(seen).build().await.unwrap()
    };
    assert_eq!(name(&shared(profile("etl").await)).as_deref(), Some(JOB));
    assert_eq!(name(&profile("one").await), None);
}

/// botocore's hash is of the same parameters for both calls, and it passes no duration on here.
#[tokio::test]
async fn a_web_identity_is_known_as_a_role_is() {
    let plain = || {
        WebIdentity::builder(ROLE, "/no/token")
            .region("eu-central-1")
            .surroundings(Surroundings::with_variables([("USER", "me")]))
    };
    assert_eq!(name(&plain().build().await.unwrap()).as_deref(), Some(PLAIN));
    assert_eq!(name(&plain().session_name("job").build().await.unwrap()).as_deref(), Some(JOB));
    let longer = plain().duration(Duration::from_secs(7200)).build().await.unwrap();
    assert_eq!(name(&longer), None);
}
