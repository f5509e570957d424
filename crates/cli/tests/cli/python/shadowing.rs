//! A user's own keys, profiles and roles go before a container endpoint in every SDK: under `exec`
//! they must not.

use super::{program, script};
use crate::support::{Home, Sts, role};

const LEFT_OVER: &str = "\
[default]
aws_access_key_id = AKIALEFTOVER00000000
aws_secret_access_key = left-over
[etl]
aws_access_key_id = AKIALEFTOVER00000001
aws_secret_access_key = left-over
";

/// A home whose every corner holds other credentials.
fn home() -> Home {
    let config = format!(
        "[default]\nregion = eu-west-1\nrole_arn = {forbidden}\ncredential_source = Environment\n\
         [profile etl]\nregion = eu-west-1\nrole_arn = {demo}\nsource_profile = keys\n\
         [profile keys]\naws_access_key_id = AKIAROLEKEEPERSANDBX\n\
         aws_secret_access_key = {secret}\n",
        forbidden = role("forbidden"),
        demo = role("demo"),
        secret = crate::support::USER_SECRET,
    );
    Home::new().with_credentials(LEFT_OVER).with_config(&config)
}

/// Who the program is, under `exec` with this.
fn who(home: &Home, which: &[&str], environment: &[(&str, &str)], client: &[&str]) -> String {
    let sts = Sts::start();
    let words = [&["exec"], which, &["--"], client].concat();
    let mut invocation = home.rolekeeper(words).at_endpoint(&sts);
    for (name, value) in environment {
        invocation = invocation.env(name, value);
    }
    let ran = invocation.run().expect(0);
    ran.stdout.trim().to_owned()
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn a_left_over_default_key_does_not_shadow() {
    let (aws, python, whoami) = (program("aws"), program("python"), script("whoami.py"));
    let cli = [&aws[..], "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIAROLEKEEPERSANDBX"),
        ("AWS_SECRET_ACCESS_KEY", crate::support::USER_SECRET),
    ];
    let demo = role("demo");
    for client in [&cli[..], &[&python, &whoami]] {
        for (which, environment) in [
            (&["--role-arn", &demo][..], &keys[..]),
            (&["--profile", "etl"], &[]),
            (&["--profile", "etl"], &[("AWS_PROFILE", "default")]),
            (&["--profile", "etl"], &[("AWS_PROFILE", "keys"), ("AWS_SDK_LOAD_CONFIG", "1")]),
            (&[], &[("AWS_PROFILE", "etl")]),
            (&["--role-arn", &demo, "--profile", "keys"], &[("AWS_DEFAULT_PROFILE", "etl")]),
        ] {
            let arn = who(&home(), which, environment, client);
            let ours = "arn:aws:sts::123456789012:assumed-role/demo/";
            assert!(arn.starts_with(ours), "{which:?} {environment:?}: {arn}");
        }
    }
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn without_exec_it_would() {
    // The trap is real: the same left-over key, and boto3 by itself.
    let (home, sts) = (Home::new().with_credentials(LEFT_OVER), Sts::start());
    let environment = home.rolekeeper([""; 0]).at_endpoint(&sts).into_command();
    let mut python = std::process::Command::new(program("python"));
    python.arg(script("whoami.py")).env_clear();
    python.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    python.env("AWS_DEFAULT_REGION", sts.region());
    python.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/credentials");
    let output = python.output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("InvalidClientTokenId"), "{told}");
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn plain_variables_are_not_shadowed_either() {
    let aws = program("aws");
    let cli = [&aws[..], "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    for environment in [&[][..], &[("AWS_PROFILE", "default")]] {
        let arn = who(&home(), &["--env", "--profile", "etl"], environment, &cli);
        assert!(arn.contains("assumed-role/demo/"), "{arn}");
    }
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn the_aws_cli_reads_credential_process() {
    let sts = Sts::start();
    let config = format!(
        "[profile fresh]\ncredential_process = {} credential-process --profile etl\n\
         [profile etl]\nrole_arn = {}\ncredential_source = Environment\n",
        env!("CARGO_BIN_EXE_rolekeeper"),
        role("demo"),
    );
    let home = Home::new().with_config(&config);
    let environment = home.rolekeeper([""; 0]).at(&sts).into_command();
    let mut aws = std::process::Command::new(program("aws"));
    aws.args(["--profile", "fresh", "sts", "get-caller-identity", "--output", "text"]).env_clear();
    aws.env("AWS_DEFAULT_REGION", sts.region());
    aws.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = aws.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("assumed-role/demo/"));
}
