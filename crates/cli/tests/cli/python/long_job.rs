//! Jobs that outlive their sessions several times over, with clients that know nothing of us.

use std::{path::Path, time::Duration};

use rolekeeper_sandbox::{Down, Faults};

use super::{job_length, program, script};
use crate::support::{Home, Sts, role, wait_for, wait_within};

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn the_aws_cli_never_fails_in_a_loop_over_many_sessions() {
    let (home, sts) = (Home::new(), Sts::short_lived(10));
    let job = format!(
        "end=$(($(date +%s) + {seconds})); calls=0\n\
         while [ $(date +%s) -lt $end ]; do\n\
         {aws} sts get-caller-identity --query Arn --output text > arn || exit 1\n\
         calls=$((calls + 1))\n\
         done; echo $calls; cat arn",
        seconds = job_length().as_secs(),
        aws = program("aws"),
    );
    let words = ["exec", "--role-arn", &role("demo"), "--", "sh", "-c", &job];
    // One try is one try: a second one of the client's would hide a failure of ours.
    let mut started = home.rolekeeper(words).at(&sts).env("AWS_MAX_ATTEMPTS", "1").start();
    let limit = job_length() + Duration::from_secs(60);
    wait_within(limit, "the job's end", || started.has_ended().then_some(()));
    let (status, stdout, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    assert_eq!(stderr, "");
    let calls: u64 = stdout.lines().next().unwrap().parse().unwrap();
    assert!(stdout.contains("assumed-role/demo/"), "{stdout}");
    let counts = sts.counts();
    println!("{calls} calls with {} sessions", counts.ok("AssumeRole"));
    assert_eq!((counts.ok("GetCallerIdentity"), counts.failed("GetCallerIdentity")), (calls, 0));
    assert!(counts.ok("AssumeRole") >= job_length().as_secs() / 10, "{counts:?}");
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn one_boto3_client_never_fails_over_many_sessions_and_an_outage() {
    let (home, sts) = (Home::new(), Sts::short_lived(10));
    let (python, client) = (program("python"), script("one_client.py"));
    let seconds = job_length().as_secs().to_string();
    let words = ["exec", "--role-arn", &role("demo"), "--", &python, &client, &seconds];
    let mut started = home.rolekeeper(words).at(&sts).start();

    wait_for("the third session", || (sts.counts().ok("AssumeRole") >= 3).then_some(()));
    // As long as a session of 10 s can do without: it is replaced after 2.5 s of its life at the
    // earliest.
    sts.misbehave(Faults {
        only: vec!["AssumeRole".into()],
        down: Some(Down { from_seconds: 0, until_seconds: 5 }),
        ..Faults::default()
    });
    wait_for("a refresh that fails", || (sts.counts().failed("AssumeRole") > 0).then_some(()));

    let limit = job_length() + Duration::from_secs(60);
    wait_within(limit, "the job's end", || started.has_ended().then_some(()));
    let (status, stdout, stderr) = started.output();
    assert!(status.success(), "{stdout}{stderr}");
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    println!("{told}");
    assert_eq!(told["failed"].as_array().map(Vec::len), Some(0), "{told}");
    assert!(told["calls"].as_u64() > Some(100), "{told}");
    assert!(told["keys"].as_u64() >= Some(3), "{told}");
    // People are told of the outage, once a try and no more.
    assert!(stderr.contains("warning: no new session: "), "{stderr}");
    assert!(stderr.lines().all(|line| line.starts_with("warning: ")), "{stderr}");
    assert!(!Path::new(&home.temporary()).read_dir().unwrap().any(|_| true));
}
