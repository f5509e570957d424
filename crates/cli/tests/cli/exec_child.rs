//! What a program under `exec` finds: our credentials and nobody else's, and all other settings as
//! they were.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::{Home, Served, Sts, role};

const CONFIG: &str = "\
[default]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/somebody-else
credential_source = Environment
output = json

[profile etl]
role_arn = arn:aws:iam::123456789012:role/demo
credential_source = Environment
region = eu-central-1
s3 =
  max_concurrent_requests = 20
";

const CREDENTIALS: &str = "\
[default]
aws_access_key_id = AKIALEFTOVER00000000
aws_secret_access_key = left-over
";

#[test]
fn other_credentials_are_out_of_sight() {
    let (home, sts) = (Home::new().with_config(CONFIG).with_credentials(CREDENTIALS), Sts::start());
    let served = Served::start_by(
        &home,
        |exec| {
            home.rolekeeper(exec)
                .at(&sts)
                .env("AWS_SECURITY_TOKEN", "")
                .env("AWS_DEFAULT_PROFILE", "etl")
                .env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
                .env("AWS_ROLE_SESSION_NAME", "left-over")
                .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/left-over")
                .env("AWS_VAULT", "left-over")
                .env("OTHER", "kept")
                .start()
        },
        &["--role-arn", &role("demo")],
    );
    for gone in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_ROLE_SESSION_NAME",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_VAULT",
    ] {
        assert!(!served.has(gone), "{gone} is still set");
    }
    assert_eq!(served.variable("OTHER"), "kept");
    assert_eq!(served.variable("AWS_ENDPOINT_URL"), sts.endpoint_url());
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        assert_eq!(served.variable(region), "us-east-1");
    }
    assert_eq!(fs::read(served.variable("AWS_SHARED_CREDENTIALS_FILE")).unwrap(), b"");
}

#[test]
fn the_configuration_loses_its_credentials_and_keeps_the_rest() {
    let (home, sts) = (Home::new().with_config(CONFIG).with_credentials(CREDENTIALS), Sts::start());
    let start = |exec: Vec<String>| home.rolekeeper(exec).at(&sts).env("AWS_REGION", "").start();
    let served = Served::start_by(&home, start, &["--profile", "etl"]);
    assert_eq!(served.variable("AWS_REGION"), "eu-central-1");
    assert_eq!(
        fs::read_to_string(served.variable("AWS_CONFIG_FILE")).unwrap(),
        "\
[default]
region = eu-central-1
s3 =
  max_concurrent_requests = 20
[profile etl]
region = eu-central-1
s3 =
  max_concurrent_requests = 20
"
    );
}

#[test]
fn the_token_is_given_twice_and_its_file_has_no_end_of_line() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let token = served.token();
    assert_eq!(token.len(), 64, "256 bits in hexadecimal");
    let file = served.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    assert_eq!(fs::read_to_string(file).unwrap(), token);
    for name in
        [file, served.variable("AWS_CONFIG_FILE"), served.variable("AWS_SHARED_CREDENTIALS_FILE")]
    {
        assert_eq!(fs::metadata(name).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let folder = Path::new(file).parent().unwrap();
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(served.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").starts_with("http://127.0.0.1:"));
}

#[test]
fn two_runs_have_two_tokens() {
    let sts = Sts::start();
    let (a, b) = (Home::new(), Home::new());
    let (one, other) = (Served::start(&a, &sts), Served::start(&b, &sts));
    assert_ne!(one.token(), other.token());
}

#[test]
fn the_temporary_folder_goes_with_the_program() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 1);
    let (status, stderr) = served.end();
    assert!(status.success(), "{stderr}");
    assert_eq!(stderr, "");
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0);
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_folder_and_ends_as_in_a_shell() {
    let (home, sts) = (Home::new(), Sts::start());
    let not_executable = home.file("data", "text");
    let exec = |program: &str| {
        home.rolekeeper(["exec", "--role-arn", &role("demo"), "--", program]).at(&sts).run()
    };
    let missing = exec("no-such-program").expect(127);
    let forbidden = exec(not_executable.to_str().unwrap()).expect(126);
    insta::assert_snapshot!([missing.transcript(), forbidden.transcript()].join("\n"));
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0);
}

#[test]
fn a_program_with_env_is_told_the_same_way() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["exec", "--env", "--role-arn", &role("demo"), "--", "no-such-program"];
    home.rolekeeper(words).at(&sts).run().expect(127);
}

#[test]
fn a_role_that_cannot_be_assumed_is_told_before_the_program_begins() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["exec", "--role-arn", &role("forbidden"), "--", "touch", "begun"];
    let ran = home.rolekeeper(words).at(&sts).run().expect(68);
    assert_eq!(ran.stdout, "");
    assert!(!home.path().join("begun").exists());
}

#[test]
fn the_exit_status_is_the_programs() {
    let (home, sts) = (Home::new(), Sts::start());
    for (script, status) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        let words = ["exec", "--role-arn", &role("demo"), "--", "sh", "-c", script];
        let ran = home.rolekeeper(words).at(&sts).run().expect(status);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{script}");
    }
}

#[test]
fn stdin_stdout_and_arguments_are_the_programs_own() {
    let (home, sts) = (Home::new(), Sts::start());
    let script = r#"read line; echo "$line, $1, $2"; echo aside >&2"#;
    let words = [
        "exec",
        "--role-arn",
        &role("demo"),
        "--",
        "sh",
        "-c",
        script,
        "sh",
        "--profile",
        "-- a b",
    ];
    let mut started = home.rolekeeper(words).at(&sts).start();
    std::io::Write::write_all(started.stdin(), b"typed\n").unwrap();
    let (status, stdout, stderr) = started.output();
    assert!(status.success());
    assert_eq!((stdout.as_str(), stderr.as_str()), ("typed, --profile, -- a b\n", "aside\n"));
}

#[test]
fn env_sets_plain_variables_and_the_program_takes_our_place() {
    let (home, sts) = (Home::new(), Sts::start());
    let words =
        ["exec", "--env", "--role-arn", &role("demo"), "--", "sh", "-c", "env; echo PID=$$"];
    let started = home.rolekeeper(words).at(&sts).env("AWS_PROFILE", "").start();
    let pid = started.pid();
    let (status, stdout, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    let value =
        |name: &str| stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert!(value("AWS_ACCESS_KEY_ID").unwrap().starts_with("ASIA"));
    assert_eq!(value("AWS_SECRET_ACCESS_KEY").map(str::len), Some(40));
    assert!(value("AWS_SESSION_TOKEN").unwrap().len() > 100);
    assert!(value("AWS_CREDENTIAL_EXPIRATION").unwrap().ends_with('Z'));
    assert_eq!(value("AWS_ACCOUNT_ID"), Some("123456789012"));
    assert_eq!(value("AWS_REGION"), Some("us-east-1"));
    assert_eq!(value("AWS_PROFILE"), None);
    assert_eq!(value("AWS_CONTAINER_CREDENTIALS_FULL_URI"), None);
    assert_eq!(value("PID"), Some(pid.to_string().as_str()), "the same process");
}

#[test]
fn rolekeeper_inside_of_exec_stands_on_the_session_outside() {
    let (home, sts) = (Home::new(), Sts::start());
    let inner = format!(
        "{} credential-process --role-arn {}",
        env!("CARGO_BIN_EXE_rolekeeper"),
        role("chained")
    );
    let demo = role("demo");
    let words = ["exec", "--role-arn", &demo, "--role-session-name", "outer"];
    let words = [&words[..], &["--", "sh", "-c", &inner]].concat();
    let ran = home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    let document = ran.json();
    assert_eq!(document["Version"], 1);
    assert_eq!(document["AccountId"], "123456789012");
    let outer = "arn:aws:sts::123456789012:assumed-role/demo/outer";
    assert_eq!(sts.counts().by_caller("AssumeRole", outer), 1);
}

#[test]
fn exec_inside_of_exec_serves_the_inner_role() {
    let (home, sts) = (Home::new(), Sts::start());
    let binary = env!("CARGO_BIN_EXE_rolekeeper");
    let (demo, chained) = (role("demo"), role("chained"));
    let whoami = format!("{binary} whoami --json --role-arn {demo}");
    let words = ["exec", "--role-arn", &demo, "--", binary, "exec", "--role-arn", &chained, "--"];
    let words = [&words[..], &["sh", "-c", &whoami]].concat();
    let ran = home.rolekeeper(words).at(&sts).run();
    // Role `demo` trusts the user alone: that it is refused shows who asked.
    assert_eq!(ran.status, Some(68), "{}", ran.stderr);
    assert!(ran.stderr.contains("assumed-role/chained/"), "{}", ran.stderr);
}

#[test]
fn a_program_that_stays_under_nohup_is_not_woken_by_the_hangup() {
    let (home, sts) = (Home::new(), Sts::start());
    // As nohup does it: the signal is ignored from the start.
    let script = format!(
        r#"trap '' HUP; exec {} exec --role-arn {} -- sh -c 'echo begun; read line; echo "$line"'"#,
        env!("CARGO_BIN_EXE_rolekeeper"),
        role("demo"),
    );
    let mut command = home.rolekeeper([""; 0]).at(&sts).into_command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command = shell;
    let mut started = crate::support::Started::of(command.stdin(std::process::Stdio::piped()));
    assert_eq!(started.line().as_deref(), Some("begun"));
    started.signal(rustix::process::Signal::HUP);
    std::io::Write::write_all(started.stdin(), b"still here\n").unwrap();
    let (status, stdout, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    assert_eq!(stdout, "still here\n");
}
