//! `write`: the section is there, fresh, and nothing else in the file has changed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rolekeeper_sandbox::Faults;
use rustix::process::Signal;

use crate::support::{Home, Started, Sts, USER_SECRET, role, wait_for};

const OTHERS: &str = "\
# Keys of mine; leave them alone.
[default]
aws_access_key_id = AKIAOTHER00000000000
aws_secret_access_key = other

[etl-fresh]
region = eu-central-1
; the end
";

/// A profile whose source has its keys in the credentials file.
fn config() -> String {
    format!(
        "[default]\nregion = us-east-1\n[profile etl]\nrole_arn = {demo}\nsource_profile = keys\n\
         [profile keys]\naws_access_key_id = AKIAROLEKEEPERSANDBX\n\
         aws_secret_access_key = {USER_SECRET}\n\
         [profile other]\nrole_arn = {demo}\nsource_profile = keys\n",
        demo = role("demo"),
    )
}

fn home() -> Home {
    let home = Home::new().with_config(&config()).with_credentials(OTHERS);
    fs::set_permissions(file(&home), fs::Permissions::from_mode(0o600)).unwrap();
    home
}

fn file(home: &Home) -> PathBuf {
    home.path().join(".aws/credentials")
}

/// The section's key id, if there is one.
fn key_id(file: &Path, section: &str) -> Option<String> {
    let text = fs::read_to_string(file).unwrap();
    let (_, body) = text.split_once(&format!("[{section}]\n"))?;
    let mut lines = body.lines().take_while(|line| !line.starts_with('['));
    lines.find_map(|line| line.strip_prefix("aws_access_key_id = ")).map(str::to_owned)
}

fn start(home: &Home, sts: &Sts, words: &[&str]) -> Started {
    let words = [&["write", "--profile", "etl"], words].concat();
    home.rolekeeper(words).at_endpoint(sts).start()
}

#[track_caller]
fn wait_for_another(file: &Path, than: Option<&str>) -> String {
    wait_for("another session in the file", || {
        key_id(file, "etl-fresh").filter(|found| Some(found.as_str()) != than)
    })
}

#[test]
fn one_session_is_written_and_told_with_its_end() {
    let (home, sts) = (home(), Sts::start());
    let words = ["write", "--profile", "etl", "--once"];
    let ran = home.rolekeeper(words).at_endpoint(&sts).run().expect(0);
    insta::assert_snapshot!(ran.transcript());
    let text = fs::read_to_string(file(&home)).unwrap();
    let kept: String = text
        .split_inclusive('\n')
        .enumerate()
        .filter(|(at, line)| *at < 5 || !(line.starts_with("aws_") || line.starts_with("x_")))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(kept, OTHERS);
    assert!(key_id(&file(&home), "etl-fresh").unwrap().starts_with("ASIA"));
    assert!(text.contains("\naws_account_id = 123456789012\nx_security_token_expires = 2"));
}

#[test]
fn a_file_that_is_not_there_is_made_for_its_owner_alone() {
    let (home, sts) = (Home::new(), Sts::start());
    fs::remove_dir(home.path().join(".aws")).unwrap();
    let words = ["write", "--role-arn", &role("demo"), "--section", "default", "--once"];
    home.rolekeeper(words).at(&sts).run().expect(0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&file(&home)), 0o600);
    assert_eq!(mode(&home.path().join(".aws")), 0o700);
    // Another, by the variable that SDKs look at.
    let words = ["write", "--role-arn", &role("demo"), "--section", "default", "--once"];
    let invocation = home.rolekeeper(words).at(&sts);
    invocation.env("AWS_SHARED_CREDENTIALS_FILE", "~/run/keys").run().expect(0);
    assert!(key_id(&home.path().join("run/keys"), "default").is_some());
}

#[test]
fn each_new_session_is_written_until_sigterm_and_stays() {
    let (home, sts) = (home(), Sts::short_lived(3));
    let file = file(&home);
    let started = start(&home, &sts, &["-v"]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(wait_for_another(&file, seen.last().map(String::as_str)));
    }
    started.signal(Signal::TERM);
    let (status, stdout, stderr) = started.output();
    assert!(status.success() && stdout.is_empty(), "{stderr}");
    assert!(key_id(&file, "etl-fresh").is_some());
    assert!(fs::read_to_string(&file).unwrap().starts_with("# Keys of mine"));
    let lines = stderr.matches("info: wrote a session to the credentials file section=etl-fresh");
    assert!(lines.count() >= 3, "{stderr}");
    assert!(stderr.contains("It is replaced before that, until Ctrl-C."), "{stderr}");
    let names: Vec<_> = fs::read_dir(home.path().join(".aws")).unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn ctrl_c_can_take_the_session_out_again() {
    let (home, sts) = (home(), Sts::start());
    let file = file(&home);
    let started = start(&home, &sts, &["--remove-at-end"]);
    wait_for_another(&file, None);
    started.signal(Signal::INT);
    let (status, _, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("took the session out of section `etl-fresh` of "), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), OTHERS);
}

#[test]
fn ctrl_c_before_anything_is_written_is_no_success() {
    let (home, sts) = (home(), Sts::start());
    sts.misbehave(Faults { hang: true, ..Faults::default() });
    let started = start(&home, &sts, &["--once"]);
    let is_locked = || home.path().join(".aws/.credentials.rolekeeper.etl-fresh.lock").exists();
    wait_for("the section's lock", || is_locked().then_some(()));
    started.signal(Signal::INT);
    let (status, _, stderr) = started.output();
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert_eq!(fs::read_to_string(file(&home)).unwrap(), OTHERS);
    assert!(!is_locked());
}

#[test]
fn a_file_that_everybody_may_read_is_worth_a_warning() {
    let (home, sts) = (home(), Sts::start());
    for (mode, warnings) in [(0o644, 1), (0o640, 0), (0o600, 0)] {
        fs::set_permissions(file(&home), fs::Permissions::from_mode(mode)).unwrap();
        let words = ["write", "--profile", "etl", "--once"];
        let ran = home.rolekeeper(words).at_endpoint(&sts).run().expect(0);
        assert_eq!(ran.stderr.matches("warning: every user may read ").count(), warnings);
    }
}

#[test]
fn a_second_writer_of_a_section_is_refused_and_one_of_another_is_not() {
    let (home, sts) = (home(), Sts::start());
    let file = file(&home);
    let started = start(&home, &sts, &[]);
    wait_for_another(&file, None);
    let words = ["write", "--profile", "etl", "--once"];
    let ran = home.rolekeeper(words).at_endpoint(&sts).run().expect(70);
    let holder = format!("is kept by process {}\n", started.pid());
    assert!(ran.stderr.starts_with("error: section `etl-fresh` of "), "{}", ran.stderr);
    assert!(ran.stderr.contains(&holder), "{}", ran.stderr);
    let words = ["write", "--profile", "etl", "--section", "another", "--once"];
    home.rolekeeper(words).at_endpoint(&sts).run().expect(0);
    assert!(key_id(&file, "another").is_some() && key_id(&file, "etl-fresh").is_some());
    started.signal(Signal::TERM);
    assert!(started.output().0.success());
}

#[test]
fn a_section_that_is_read_for_the_session_is_refused() {
    let home = home();
    let demo = role("demo");
    let of_profile = |section| vec!["write", "--profile", "etl", "--section", section];
    let of_role = |section| vec!["write", "--role-arn", &demo, "--section", section];
    let told = [
        of_profile("etl"),
        of_profile("keys"),
        of_profile("other"),
        of_role("default"),
        of_profile("my jobs"),
        vec!["write", "--role-arn", &demo],
    ]
    .map(|words| home.rolekeeper(words).env("AWS_REGION", "us-east-1").run().expect(64));
    insta::assert_snapshot!(told.map(|ran| ran.transcript()).join("\n"));
    // By another way to the same file.
    std::os::unix::fs::symlink(".aws", home.path().join("link")).unwrap();
    let words = [&of_profile("etl")[..], &["--file", "link/credentials"]].concat();
    home.rolekeeper(words).run().expect(64);
    assert_eq!(fs::read_to_string(file(&home)).unwrap(), OTHERS);
}

#[test]
fn another_file_may_have_any_section() {
    let (home, sts) = (home(), Sts::start());
    for section in ["etl", "default"] {
        let words = ["write", "--profile", "etl", "--once", "--file", "job", "--section", section];
        home.rolekeeper(words).at_endpoint(&sts).run().expect(0);
        assert!(key_id(&home.path().join("job"), section).is_some());
    }
    // The session's source is the environment, not the file.
    let words = ["write", "--role-arn", &role("demo"), "--once", "--section", "keys"];
    home.rolekeeper(words).at(&sts).run().expect(0);
}

#[test]
fn what_would_be_lost_is_told_before_anybody_is_called() {
    let (home, demo) = (home(), role("demo"));
    let told = [
        OTHERS.replace("; the end", "aws_access_key_id = AKIAMINE000000000000"),
        OTHERS.replace("[default]", "[etl-fresh]"),
        OTHERS.replace("[etl-fresh]", "[ etl-fresh ]"),
    ]
    .map(|text| {
        home.file(".aws/credentials", &text);
        let words = ["write", "--role-arn", &demo, "--section", "etl-fresh"];
        let invocation = home.rolekeeper(words).env("AWS_REGION", "us-east-1");
        let invocation =
            invocation.env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "s");
        let ran = invocation.run().expect(67);
        assert_eq!(fs::read_to_string(file(&home)).unwrap(), text);
        ran.transcript()
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_that_cannot_be_written_is_told_with_70_and_left_whole() {
    let (home, sts) = (home(), Sts::start());
    fs::create_dir(home.path().join("folder")).unwrap();
    for place in ["folder", "/proc/none/credentials", "/dev/null"] {
        let words = ["write", "--profile", "etl", "--file", place];
        let ran = home.rolekeeper(words).at_endpoint(&sts).run().expect(70);
        assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    assert_eq!(sts.counts().ok("AssumeRole"), 0);

    // A disk that is full after a few more bytes. One that merely has no room left says so; a limit
    // of the shell's kills, unless that is ignored: both leave the old file.
    let file = file(&home);
    let with_a_limit = |trap: &str| {
        let mut shell = std::process::Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_rolekeeper");
        let script = format!("{trap} ulimit -f 1; exec {binary} write --profile etl --once");
        shell.args(["-c", &script]).env_clear().stdin(std::process::Stdio::null());
        let command = home.rolekeeper([""; 0]).at_endpoint(&sts).into_command();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Started::of(&mut shell).output()
    };
    let long = format!("{OTHERS}{}", "# a comment\n".repeat(200));
    fs::write(&file, &long).unwrap();
    let (status, _, stderr) = with_a_limit("trap '' XFSZ;");
    assert_eq!(status.code(), Some(70), "{stderr}");
    assert!(stderr.contains("error: cannot write beside "), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), long);
    let (status, ..) = with_a_limit("");
    assert!(!status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), long);
}

#[test]
fn what_cannot_be_written_for_a_while_is_told_once_and_made_up_for() {
    let (home, sts) = (home(), Sts::short_lived(3));
    let file = file(&home);
    let started = start(&home, &sts, &[]);
    let first = wait_for_another(&file, None);
    let set_mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o400);
    let so_far = sts.counts().ok("AssumeRole");
    wait_for("two more sessions", || (sts.counts().ok("AssumeRole") >= so_far + 2).then_some(()));
    set_mode(0o600);
    wait_for_another(&file, Some(&first));
    started.signal(Signal::TERM);
    let (status, _, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    assert_eq!(stderr.matches("warning: cannot write ").count(), 1, "{stderr}");
    assert!(stderr.contains("the file is read-only; it is tried again"), "{stderr}");
}
