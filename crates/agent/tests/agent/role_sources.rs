//! Configured roles as sources. What a profile means depends on the environment, which a test can't
//! change for itself: each starts this program again.

use std::{env, fs, path::Path, process::Command};

use rolekeeper_agent::config::{Config, Ground};

const REPORT: &str = "TEST_REPORT";
const AGENT_FILE: &str = "TEST_AGENT_FILE";

const AWS_CONFIG: &str = "\
[default]
region = eu-west-1
mfa_serial = arn:aws:iam::123456789012:mfa/of-another-tool
[profile plain]
role_arn = arn:aws:iam::123456789012:role/plain
source_profile = base
region = eu-central-1
endpoint_url = http://127.0.0.1:9
[profile careful]
role_arn = arn:aws:iam::123456789012:role/careful
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ada
region = eu-central-1
endpoint_url = http://127.0.0.1:9
[profile base]
region = eu-north-1
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = hush
";

/// What is in here runs in the program that the other tests start.
#[test]
#[ignore = "the other tests run it"]
fn as_an_agent() {
    let Some(report) = env::var_os(REPORT) else { return };
    let file = env::var_os(AGENT_FILE).unwrap();
    let config = Config::from_toml(&fs::read_to_string(&file).unwrap(), Path::new("agent.toml"));
    let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut told = String::new();
    let mut ground = runtime.block_on(Ground::read());
    for role in &config.roles {
        let line = runtime.block_on(async {
            let again = Ground::read().await.fingerprint(role);
            assert!(ground.fingerprint(role) == again);
            match role.source(&mut ground).await {
                Err(failure) => {
                    let problem = config.problem_of(role, &failure);
                    format!("{problem}\n  hint: {}", problem.hint.as_deref().unwrap_or_default())
                }
                Ok((source, _)) => match source.fetch().await {
                    Ok(_) => format!("{}: a session", source.name()),
                    Err(failure) => format!("{}: {:?}: {failure}", source.name(), failure.kind),
                },
            }
        });
        told.push_str(&format!("{line}\n"));
    }
    fs::write(report, told).unwrap();
}

/// What an agent with this file tells of each role.
fn told(agent_file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let output = Command::new(env::current_exe().unwrap())
        .args(["role_sources::as_an_agent", "--exact", "--ignored"])
        .env_clear()
        .env("HOME", folder.path())
        .env("AWS_CONFIG_FILE", put("config", AWS_CONFIG))
        .env("AWS_SHARED_CREDENTIALS_FILE", put("credentials", ""))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env(AGENT_FILE, put("agent.toml", agent_file))
        .env(REPORT, folder.path().join("report"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = fs::read_to_string(folder.path().join("report")).unwrap();
    assert!(!told.contains("hush"), "{told}");
    told.replace(folder.path().to_str().unwrap(), "~")
}

#[test]
fn a_role_that_cannot_be_is_told_with_its_line() {
    let told = told(
        "\
[role.none]

[role.careful]

[role.short]
role_arn = 'arn:aws:iam:'
source_profile = 'base'

[role.named]
role_arn = 'arn:aws:iam::123456789012:role/x'
source_profile = 'bsae'

[role.odd]
role_arn = 'arn:aws:iam::123456789012:role/x'
source_profile = 'base'
session_name = 'not good'
",
    );
    insta::assert_snapshot!(told);
}

#[test]
fn codes_of_an_mfa_device_come_from_a_command() {
    let told = told(
        "\
[role.careful]
mfa_process = 'exit 3'
[role.careful2]
profile = 'careful'
mfa_process = 'echo code'
[role.careful3]
profile = 'careful'
mfa_process = 'echo 123456 | cat'
",
    );
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].contains("NeedsPerson: mfa_process ended with exit status: 3"), "{told}");
    assert!(lines[1].contains("NeedsPerson") && lines[1].contains("not six digits"), "{told}");
    assert!(lines[2].contains("Unavailable"), "it went on to call STS: {told}");
}

#[test]
fn a_role_in_the_file_is_called_where_its_source_profile_is() {
    let told = told(
        "\
[role.plain]
[role.own]
role_arn = 'arn:aws:iam::123456789012:role/own'
source_profile = 'base'
endpoint_url = 'http://127.0.0.1:9'
",
    );
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("arn:aws:iam::123456789012:role/plain: Unavailable"), "{told}");
    assert!(lines[1].starts_with("arn:aws:iam::123456789012:role/own: Unavailable"), "{told}");
}
