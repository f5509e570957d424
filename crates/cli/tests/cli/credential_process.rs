//! `rolekeeper credential-process`: what SDKs read, and the circle it must not run in.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Home, Sts, role};

#[test]
fn it_prints_one_session_as_sdks_want_it() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["credential-process", "--role-arn", &role("demo")];
    let ran = home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.len() < 8 * 1024, "Go reads 8 KiB");
    let document = ran.json();
    assert_eq!(document["Version"], 1);
    assert!(document["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert!(document["SecretAccessKey"].is_string() && document["SessionToken"].is_string());
    assert!(document["Expiration"].as_str().unwrap().ends_with('Z'));
    assert_eq!(document["AccountId"], "123456789012");
}

#[test]
fn a_profile_says_everything_by_itself() {
    let sts = Sts::start();
    let config = format!(
        "[profile etl]\nrole_arn = {}\ncredential_source = Environment\nregion = eu-west-1\n",
        role("demo")
    );
    let home = Home::new().with_config(&config);
    for (words, selected) in
        [(&["credential-process", "--profile", "etl"][..], ""), (&["credential-process"], "etl")]
    {
        let invocation = home.rolekeeper(words).at(&sts).env("AWS_PROFILE", selected);
        invocation.that_shows_secrets().run().expect(0);
    }
}

/// A `rolekeeper` that ends after a few calls: if the circle were not seen, it would never end by
/// itself.
fn bounded(home: &Home) -> String {
    let script = format!(
        "#!/bin/sh\necho call >> \"$HOME/calls\"\n\
         [ \"$(wc -l < \"$HOME/calls\")\" -le 4 ] || exit 1\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_rolekeeper")
    );
    let path = home.file("rolekeeper", &script);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// How often the profile's command has been run.
fn calls(home: &Home) -> usize {
    std::fs::read_to_string(home.path().join("calls")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_profile_that_would_call_itself_is_refused() {
    let (home, sts) = (Home::new(), Sts::start());
    let us = bounded(&home);
    let home = home.with_config(&format!(
        "[profile by-name]\ncredential_process = {us} credential-process --profile by-name\n\
         [profile by-equals]\ncredential_process = {us} credential-process --profile=by-equals\n\
         [profile by-role]\ncredential_process = {us} credential-process --role-arn {demo}\n\
         [profile fine]\ncredential_process = {us} credential-process --profile base\n\
         [profile base]\nrole_arn = {demo}\nsource_profile = keys\n\
         [profile keys]\naws_access_key_id = AKIAROLEKEEPERSANDBX\n\
         aws_secret_access_key = {secret}\n",
        demo = role("demo"),
        secret = crate::support::USER_SECRET,
    ));
    let run = |words: &[&str], selected: &str| {
        let words = ["credential-process"].iter().chain(words);
        let invocation = home.rolekeeper(words).at_endpoint(&sts).env("AWS_PROFILE", selected);
        invocation.that_shows_secrets().run()
    };
    let demo = role("demo");
    let by_name = run(&["--profile", "by-name"], "").expect(67);
    run(&["--profile", "by-equals"], "").expect(67);
    // As the AWS CLI calls it with AWS_PROFILE=by-role, which reaches the process.
    run(&["--role-arn", &demo], "by-role").expect(67);
    assert_eq!(calls(&home), 0);
    run(&["--profile", "fine"], "").expect(0);
    // The environment selects another profile there, and the circle is none.
    run(&["--profile", "by-role"], "keys").expect(0);
    assert_eq!(calls(&home), 2);
    insta::assert_snapshot!(by_name.transcript());
}

#[test]
fn keys_in_the_environment_end_the_circle() {
    let (home, sts) = (Home::new(), Sts::start());
    let (us, demo) = (bounded(&home), role("demo"));
    let home = home.with_config(&format!(
        "[default]\ncredential_process = {us} credential-process --role-arn {demo}\n"
    ));
    let words = ["credential-process", "--role-arn", &demo];
    home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    home.rolekeeper(words).at_endpoint(&sts).run().expect(67);
    assert_eq!(calls(&home), 0);
}
