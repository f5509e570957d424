//! What profiles mean: the same as to the AWS CLI.

use std::time::Duration;

use rolekeeper::{
    Failure, FailureKind, Issued, Source,
    sources::{AssumeRole, Base, MfaPrompt, Profile, Surroundings, UNDATED_LIFETIME},
};
use rolekeeper_sandbox::Running;

use crate::support::{Files, lasts, sandbox, told};

const KEYS: &str = "
aws_access_key_id = AKIAROLEKEEPERSANDBX
aws_secret_access_key = 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
";

/// `config` with `KEYS` put in for `[keys]`.
fn files(config: &str) -> Files {
    // Without this file's own indentation.
    Files::new(&config.replace("\n        ", "\n").replace("[keys]", KEYS), "")
}

fn seen(files: &Files, sandbox: &Running) -> Surroundings {
    let url = sandbox.endpoint_url();
    files.seen(&[("AWS_ENDPOINT_URL_STS", &url), ("AWS_REGION", "us-east-1")])
}

async fn fetch(files: &Files, sandbox: &Running, name: &str) -> Result<Issued, Failure> {
    Profile::named(name).surroundings(seen(files, sandbox)).build().await?.fetch().await
}

async fn refused(files: &Files, name: &str) -> String {
    let failure = Profile::named(name).surroundings(files.seen(&[])).build().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
    told(&failure).replace(&files.path("config"), "CONFIG")
}

#[tokio::test]
async fn a_role_is_assumed_with_its_source_profile() {
    let sandbox = sandbox().await;
    let files = files(
        "[profile base]
        [keys]
        [profile work]
        role_arn = arn:aws:iam::123456789012:role/external
        source_profile = base
        external_id = sandbox-external-id
        role_session_name = from-profile
        duration_seconds = 900
        ",
    );
    let issued = fetch(&files, &sandbox, "work").await.unwrap();
    assert!(lasts(&issued, Duration::from_secs(900)));
    assert!(issued.assumed_role_arn.unwrap().ends_with("assumed-role/external/from-profile"));
}

#[tokio::test]
async fn a_rotated_key_of_a_source_profile_is_taken_by_the_next_fetch() {
    let sandbox = sandbox().await;
    let stale = KEYS.replace("AKIAROLEKEEPERSANDBX", "AKIAROLEKEEPERSTALE0");
    let files = Files::new(
        "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/demo\nsource_profile = base\n",
        &format!("[base]\n{stale}"),
    );
    let work = Profile::named("work").surroundings(seen(&files, &sandbox)).build().await.unwrap();
    let failure = work.fetch().await.unwrap_err();
    assert_eq!(failure.code.as_deref(), Some("InvalidClientTokenId"));
    files.write("credentials", &format!("[base]\n{KEYS}"));
    assert!(work.fetch().await.is_ok());
}

#[tokio::test]
async fn a_chain_of_profiles_is_a_chain_of_roles() {
    let sandbox = sandbox().await;
    let files = files(
        "[profile base]
        [keys]
        [profile middle]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        [profile top]
        role_arn = arn:aws:iam::123456789012:role/chained
        source_profile = middle
        duration_seconds = 7200
        ",
    );
    let issued = fetch(&files, &sandbox, "top").await.unwrap();
    assert!(lasts(&issued, Duration::from_secs(3600)), "cut to an hour, since it is chained");
    assert!(issued.assumed_role_arn.unwrap().contains(":assumed-role/chained/"));
    assert_eq!(sandbox.counts().ok("AssumeRole"), 2);
}

#[tokio::test]
async fn a_profile_that_names_itself_uses_its_own_keys_and_so_does_a_source_profile_with_a_role() {
    let sandbox = sandbox().await;
    let files = files(
        "[profile itself]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = itself
        [keys]
        [profile other]
        role_arn = arn:aws:iam::123456789012:role/short
        source_profile = itself
        ",
    );
    assert!(fetch(&files, &sandbox, "itself").await.is_ok());
    assert!(fetch(&files, &sandbox, "other").await.is_ok());
    assert_eq!(
        sandbox.counts().ok("AssumeRole"),
        2,
        "the source profile's keys go before its role"
    );
}

#[tokio::test]
async fn credentials_of_the_environment_are_a_credential_source() {
    let sandbox = sandbox().await;
    let files = files(
        "[profile work]
        role_arn = arn:aws:iam::123456789012:role/demo
        credential_source = Environment
        ",
    );
    let none = fetch(&files, &sandbox, "work").await.unwrap_err();
    assert_eq!(none.kind, FailureKind::Misconfigured, "{none}");

    let user = sandbox.user_credentials("demo").unwrap();
    let url = sandbox.endpoint_url();
    let seen = files.seen(&[
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", &user.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &user.secret_access_key),
    ]);
    let work = Profile::named("work").surroundings(seen).build().await.unwrap();
    assert!(work.fetch().await.is_ok());
}

#[tokio::test]
async fn mfa_is_asked_for_by_the_prompt() {
    let sandbox = sandbox().await;
    let files = files(
        "[profile base]
        [keys]
        [profile work]
        role_arn = arn:aws:iam::123456789012:role/mfa
        source_profile = base
        mfa_serial = arn:aws:iam::123456789012:mfa/demo
        ",
    );
    let nobody = fetch(&files, &sandbox, "work").await.unwrap_err();
    assert_eq!(nobody.kind, FailureKind::NeedsPerson);

    let code = sandbox.mfa_code("arn:aws:iam::123456789012:mfa/demo").unwrap();
    let prompt = MfaPrompt::blocking(move |_| Ok::<_, std::io::Error>(code.clone()));
    let work = Profile::named("work").surroundings(seen(&files, &sandbox)).mfa_prompt(prompt);
    assert!(work.build().await.unwrap().fetch().await.is_ok());
}

#[tokio::test]
async fn a_web_identity_goes_before_a_source_profile() {
    let sandbox = sandbox().await;
    let files = Files::new("", "");
    let token = sandbox.identity_token("sandbox", "pod", Duration::from_secs(60)).unwrap();
    files.write("token", &token);
    files.write(
        "config",
        &format!(
            "[profile pod]\nrole_arn = arn:aws:iam::123456789012:role/web\n\
             web_identity_token_file = {}\nrole_session_name = p-1\nsource_profile = nowhere\n",
            files.path("token")
        ),
    );
    let issued = fetch(&files, &sandbox, "pod").await.unwrap();
    assert!(issued.assumed_role_arn.unwrap().ends_with(":assumed-role/web/p-1"));
}

#[tokio::test]
async fn region_and_endpoint_are_those_of_the_profile_asked_for() {
    let sandbox = sandbox().await;
    let url = sandbox.endpoint_url();
    let files = files(&format!(
        "[profile base]
        region = me-south-1
        endpoint_url = http://127.0.0.1:1
        [keys]
        [profile direct]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        region = eu-west-3
        endpoint_url = {url}
        [profile by-services]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        region = eu-west-3
        services = local
        [services local]
        sts =
          endpoint_url = {url}
        "
    ));
    for name in ["direct", "by-services"] {
        let profile = Profile::named(name).surroundings(files.seen(&[])).build().await.unwrap();
        let shown = format!("{profile:?}");
        assert!(shown.contains("eu-west-3") && shown.contains(&url), "{shown}");
        assert!(profile.fetch().await.is_ok());
    }
}

#[tokio::test]
async fn a_profile_without_a_role_hands_on_its_credentials() {
    let files = Files::new(
        "[profile dated]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"ASIADATED\",\
         \"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"2030-01-01T00:00:00Z\"}'\n",
        "[keys]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n",
    );
    let build = |name: &str| {
        // What the environment has must not take the profile's place.
        let seen = files.seen(&[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "s")]);
        Profile::named(name).surroundings(seen).build()
    };
    let keys = build("keys").await.unwrap();
    assert!(!keys.has_role());
    assert_eq!(keys.name(), "profile keys");
    let earliest = rolekeeper::Clock::System.now().wall.after(UNDATED_LIFETIME);
    let issued = keys.fetch().await.unwrap();
    assert_eq!(issued.credentials.access_key_id, "AKIAFILE");
    assert!(issued.credentials.session_token.is_empty());
    assert!(issued.expiration >= earliest);

    files.write("credentials", "[keys]\naws_access_key_id = AKIANEW\naws_secret_access_key = s\n");
    let rotated = keys.fetch().await.unwrap();
    assert_eq!(rotated.credentials.access_key_id, "AKIANEW", "the file is read anew");

    let dated = build("dated").await.unwrap().fetch().await.unwrap();
    assert_eq!(dated.credentials.access_key_id, "ASIADATED");
    assert_eq!(dated.expiration.to_string(), "2030-01-01T00:00:00Z");
}

#[tokio::test]
async fn the_selected_profile_is_the_environments_and_its_role_is_the_default_base() {
    let sandbox = sandbox().await;
    let url = sandbox.endpoint_url();
    let files = files(
        "[profile base]
        [keys]
        [profile work]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        ",
    );
    let seen = files.seen(&[
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_PROFILE", "work"),
    ]);
    let selected = Profile::selected().surroundings(seen.clone()).build().await.unwrap();
    assert_eq!(selected.profile_name(), "work");
    for base in [Base::default_chain(), Base::profile("work")] {
        let chained = AssumeRole::builder(sandbox.role_arn("chained"))
            .surroundings(seen.clone())
            .base(base)
            .duration(Duration::from_secs(7200))
            .build()
            .await
            .unwrap();
        assert!(chained.fetch().await.is_ok(), "known to be chained, and so cut to an hour");
    }
}

#[tokio::test]
async fn a_login_that_ran_out_needs_a_person_who_is_told_the_command() {
    let files = files(
        "[profile staff]
        sso_session = corp
        sso_account_id = 123456789012
        sso_role_name = Dev
        region = us-east-1
        [sso-session corp]
        sso_region = us-east-1
        sso_start_url = https://corp.invalid/start
        [profile work]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = staff
        region = us-east-1
        [profile console]
        login_session = arn:aws:iam::123456789012:user/me
        region = us-east-1
        ",
    );
    for (name, command) in [
        ("staff", "run `aws sso login --profile staff`"),
        ("work", "run `aws sso login --profile staff`"),
        ("console", "run `aws login --profile console`"),
    ] {
        let profile = Profile::named(name).surroundings(files.seen(&[])).build().await.unwrap();
        let failure = profile.fetch().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NeedsPerson, "{failure}");
        assert_eq!(failure.hint.as_deref(), Some(command), "{failure}");
    }
}

#[tokio::test]
async fn a_failure_is_one_line_also_where_a_value_goes_on_in_the_next_one() {
    let text = "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = ds\n";
    let files = Files::new(&format!("{text} duration_seconds = 3600\n"), "");
    let failure = refused(&files, "p").await;
    let expected = "there is no profile `ds duration_seconds = 3600` in CONFIG, which `p` names";
    assert!(failure.starts_with(expected) && !failure.contains('\n'), "{failure}");
}

#[tokio::test]
async fn what_makes_no_sense_is_told_with_profile_key_and_file() {
    let files = files(
        "[profile base]
        [keys]
        [profile both]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        credential_source = Environment
        [profile neither]
        role_arn = arn:aws:iam::123456789012:role/demo
        [profile a]
        role_arn = arn:aws:iam::123456789012:role/a
        source_profile = b
        [profile b]
        role_arn = arn:aws:iam::123456789012:role/b
        source_profile = c
        [profile c]
        role_arn = arn:aws:iam::123456789012:role/c
        source_profile = b
        [profile alone]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = alone
        [profile long]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        duration_seconds = 1h
        region = us-east-1
        [profile longer]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        duration_seconds = 90000
        region = us-east-1
        [profile odd]
        role_arn = arn:aws:iam::123456789012:role/demo
        credential_source = Vault
        [profile lost]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = bse
        [profile token]
        web_identity_token_file = /token
        [profile half]
        aws_access_key_id = AKIA
        [profile empty]
        output = json
        [profile nowhere]
        role_arn = arn:aws:iam::123456789012:role/demo
        source_profile = base
        ",
    );
    for (name, expected) in [
        (
            "both",
            "in the profile `both` (CONFIG), `source_profile` and `credential_source` are both set [keep one of the two]",
        ),
        (
            "neither",
            "in the profile `neither` (CONFIG), `role_arn` is set with neither `source_profile` nor `credential_source` [add one of the two: with what the role is assumed]",
        ),
        (
            "a",
            "in the profile `c` (CONFIG), `source_profile` leads in a circle: b → c → b [let one of them have credentials of its own]",
        ),
        (
            "alone",
            "in the profile `alone` (CONFIG), `source_profile` names the profile itself, which has no static keys [name another profile, or add aws_access_key_id and aws_secret_access_key]",
        ),
        (
            "long",
            "in the profile `long` (CONFIG), `duration_seconds` is `1h`, which is not a whole number of seconds [write seconds, such as 3600]",
        ),
        (
            "longer",
            "in the profile `longer` (CONFIG), the duration of 90000 s is not between 900 s and 43200 s [give 15 minutes to 12 hours, and no more than the role's own maximum]",
        ),
        (
            "odd",
            "in the profile `odd` (CONFIG), `credential_source` is `Vault`, which is not known [write Environment, Ec2InstanceMetadata or EcsContainer]",
        ),
        (
            "token",
            "in the profile `token` (CONFIG), `web_identity_token_file` is set without a `role_arn` [add the `role_arn` that the token may assume]",
        ),
        (
            "half",
            "in the profile `half` (CONFIG), `aws_access_key_id` is set without `aws_secret_access_key` [add `aws_secret_access_key`]",
        ),
        (
            "empty",
            "the profile `empty` (CONFIG) has no credentials and no role [add role_arn, keys, sso_session, login_session or credential_process]",
        ),
        (
            "nowhere",
            "no Region is set to call STS in [set AWS_REGION, or `region` in the profile, or pass a Region]",
        ),
    ] {
        assert_eq!(refused(&files, name).await, expected);
    }
    let lost = refused(&files, "lost").await;
    assert!(lost.starts_with("there is no profile `bse` in CONFIG, which `lost` names as source_profile [did you mean `base`?"), "{lost}");
}

#[tokio::test]
async fn an_unknown_profile_is_told_with_the_nearest_names() {
    let files = Files::new("[profile production]\nregion = x\n[profile staging]\nregion = x\n", "");
    assert_eq!(
        refused(&files, "prodution").await,
        "there is no profile `prodution` in CONFIG [did you mean `production`? other profiles: staging]"
    );
    assert_eq!(
        refused(&files, "zzz").await,
        "there is no profile `zzz` in CONFIG [known profiles: staging, production]"
    );
    let none = Files::new("", "");
    assert_eq!(
        refused(&none, "dev").await,
        "there is no profile `dev` in CONFIG [no profile is defined: run `aws configure`, or check AWS_CONFIG_FILE]"
    );
    let broken = Files::new("[profile x\n", "");
    assert!(refused(&broken, "x").await.starts_with("cannot read CONFIG: "));
}
