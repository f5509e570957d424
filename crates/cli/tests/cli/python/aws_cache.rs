//! The AWS CLI and botocore have one session with `--aws-cache`, in both directions.

use std::process::Command;

use super::{program, script};
use crate::support::{Home, Sts, role};

/// A profile of every parameter that botocore's hash is of, but for a person's code.
fn home() -> Home {
    let config = format!(
        "[profile etl]\nrole_arn = {}\ncredential_source = Environment\n\
         role_session_name = job\nduration_seconds = 7200\nexternal_id = customer-7\n\
         [profile plain]\nrole_arn = {}\ncredential_source = Environment\n",
        role("demo"),
        role("demo"),
    );
    Home::new().with_config(&config)
}

/// Who the program is by this profile.
#[track_caller]
fn who(home: &Home, sts: &Sts, profile: &str, words: &[&str]) -> String {
    let environment = home.rolekeeper([""; 0]).at(sts).into_command();
    let mut client = Command::new(words[0]);
    client.args(&words[1..]).env_clear();
    client.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    client.env("AWS_DEFAULT_REGION", sts.region());
    // It goes by keys of the environment if the profile comes from there: one on the line counts.
    let output = client.args(["--profile", profile]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn ours(home: &Home, sts: &Sts, profile: &str, how: &str) -> String {
    let words = ["whoami", "--json", "--store", "none", "--profile", profile, "--aws-cache", how];
    let ran = home.rolekeeper(words).at(sts).run().expect(0);
    ran.json()["Arn"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn what_is_written_is_read_by_the_aws_cli_and_by_botocore() {
    let (aws, python, cached) = (program("aws"), program("python"), script("cached.py"));
    let cli = [&aws[..], "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    for profile in ["etl", "plain"] {
        let (home, sts) = (home(), Sts::start());
        let arn = ours(&home, &sts, profile, "write");
        for client in [&cli[..], &[&python, &cached, ".aws/cli/cache"]] {
            assert_eq!(who(&home, &sts, profile, client), arn);
        }
        assert_eq!(sts.counts().ok("AssumeRole"), 1);
    }
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn what_the_aws_cli_or_botocore_has_written_is_read() {
    let (aws, python, cached) = (program("aws"), program("python"), script("cached.py"));
    let cli = [&aws[..], "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    for profile in ["etl", "plain"] {
        for client in [&cli[..], &[&python, &cached, ".aws/boto/cache"]] {
            let (home, sts) = (home(), Sts::start());
            let arn = who(&home, &sts, profile, client);
            assert_eq!(ours(&home, &sts, profile, "read"), arn);
            assert_eq!(sts.counts().ok("AssumeRole"), 1);
        }
    }
}
