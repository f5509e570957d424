//! Where secrets are not: whatever goes wrong, at the most talkative level, in what is told, in what
//! is written, and in what the system tells of a process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rolekeeper_sandbox::{AssumeRoleRefusal, Failures, Faults};
use rustix::process::Signal;

use crate::support::{
    ANY_PORT, Agent, Home, Sts, USER_SECRET, home_with_profiles, invocation, wait_for,
};

/// Sessions of ten seconds, replaced every two or three.
const LIFETIME: u64 = 10;

fn agent(home: &Home, sts: &Sts) -> Agent {
    let arguments = ["--profile", "etl", "--listen", ANY_PORT, "--store", "file", "-vv"];
    Agent::of(home, invocation(home, sts, &arguments))
}

/// The secret key and the token that it serves now.
#[track_caller]
fn secrets(agent: &Agent) -> [String; 2] {
    let reply = agent.get("etl");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let session = reply.json();
    ["SecretAccessKey", "Token"].map(|name| session[name].as_str().unwrap().to_owned())
}

fn all_faults() -> Vec<Faults> {
    let fail = |status| Some(Failures { next: None, status, retry_after_seconds: None });
    let refuse = |code: &str| {
        let message = "no: try another wJalrXUtnFEMI".to_owned();
        Some(AssumeRoleRefusal { code: code.to_owned(), status: 403, message })
    };
    let none = Faults::default;
    vec![
        Faults { fail: fail(500), ..none() },
        Faults { throttle_per_second: Some(0), ..none() },
        Faults { close_connection: true, ..none() },
        Faults { truncate_body: true, ..none() },
        Faults { malformed_body: true, ..none() },
        Faults { missing_field: Some("Expiration".to_owned()), ..none() },
        Faults { missing_field: Some("SessionToken".to_owned()), ..none() },
        Faults { already_expired: true, ..none() },
        Faults { refuse_assume_role: refuse("ExpiredToken"), ..none() },
    ]
}

#[test]
fn whatever_goes_wrong_no_secret_is_told_or_written() {
    std::thread::scope(|threads| {
        for faults in all_faults() {
            threads.spawn(move || assert_discreet_with(faults));
        }
    });
}

fn assert_discreet_with(faults: Faults) {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::short_lived(LIFETIME));
    let agent = agent(&home, &sts);
    let mut known = vec![USER_SECRET.to_owned()];
    known.extend(secrets(&agent));
    let before = sts.counts().calls("AssumeRole");
    sts.misbehave(faults);
    // The second of its calls begins after the first has gone wrong.
    wait_for("two calls that go wrong", || {
        (sts.counts().calls("AssumeRole") > before + 1).then_some(())
    });
    let status = home.rolekeeper(["status", "-vv"]).run();
    assert_has_none((status.stdout + &status.stderr).as_bytes(), &known, Path::new("status"));
    for name in ["environ", "cmdline"] {
        // Of a process that is not dumpable, only root can read the first.
        let told = fs::read(format!("/proc/{}/{name}", agent.pid())).unwrap_or_default();
        assert_has_none(&told, &known, Path::new(name));
    }
    known.push(agent.token("etl"));
    let (_, stderr) = agent.end(Signal::TERM);
    assert!(stderr.contains("warning: "), "it talks: {stderr}");
    assert_has_none(stderr.as_bytes(), &known, Path::new("stderr"));
    for path in files_in(home.path()) {
        let name = path.strip_prefix(home.path()).unwrap();
        let is_for_them = name.starts_with(".aws/credentials")
            || name.components().any(|part| part.as_os_str() == "tokens");
        if !is_for_them {
            assert_has_none(&fs::read(&path).unwrap(), &known, name);
        }
    }
}

#[track_caller]
fn assert_has_none(bytes: &[u8], secrets: &[String], place: &Path) {
    assert_eq!(found(bytes, secrets), 0, "{} has a secret in it", place.display());
}

fn found(bytes: &[u8], secrets: &[String]) -> usize {
    let is_in =
        |secret: &&String| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    secrets.iter().filter(is_in).count()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match fs::symlink_metadata(&path).unwrap() {
            found if found.is_dir() => files_in(&path),
            found if found.is_file() => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
