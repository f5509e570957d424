//! What STS refuses, or what keeps it from answering: the status says whose turn it is, the hint
//! what to do.

use rolekeeper_sandbox::{AssumeRoleRefusal, Failures, Faults};

use crate::support::{Home, Sts, role};

const DEVICE: &str = "arn:aws:iam::123456789012:mfa/demo";

#[track_caller]
/// What is told the second time is not to be what was told the first time.
fn whoami(home: &Home, sts: &Sts, status: i32, which: &[&str]) -> String {
    let words = ["whoami"].iter().chain(which);
    let alone = home.rolekeeper(words).at(sts).env("ROLEKEEPER_STORE", "none");
    alone.run().expect(status).transcript()
}

#[test]
fn a_refusal_ends_with_68_and_says_what_to_change() {
    let (home, sts) = (Home::new(), Sts::start());
    let chain = ["--role-arn", &role("demo"), "--role-arn", &role("forbidden")];
    let told = [
        whoami(&home, &sts, 68, &["--role-arn", &role("forbidden")]),
        whoami(&home, &sts, 68, &["--role-arn", &role("external")]),
        whoami(&home, &sts, 68, &["--role-arn", &role("external"), "--external-id", "wrong"]),
        whoami(&home, &sts, 68, &["--role-arn", &role("mfa")]),
        whoami(&home, &sts, 68, &["--role-arn", &role("short"), "--duration", "2h"]),
        whoami(&home, &sts, 68, &chain),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn refused_base_credentials_end_with_68_and_point_at_the_base() {
    let (home, sts) = (Home::new(), Sts::start());
    let whoami = || home.rolekeeper(["whoami", "--role-arn", &role("demo")]).at(&sts);
    let wrong_secret = whoami().env("AWS_SECRET_ACCESS_KEY", "wrong").run().expect(68);
    let unknown_key = whoami().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").run().expect(68);
    insta::assert_snapshot!([wrong_secret.transcript(), unknown_key.transcript()].join("\n"));
}

#[test]
fn no_base_credentials_end_with_67_in_one_line() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["whoami", "--role-arn", &role("demo")];
    let ran = home.rolekeeper(words).at_endpoint(&sts).run().expect(67);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.stderr);
    assert!(lines[0].contains("no base credentials were found"), "{}", lines[0]);
    assert!(lines[1].starts_with("hint: "), "{}", lines[1]);
}

#[test]
fn a_code_that_nobody_can_give_ends_with_66() {
    let (home, sts) = (Home::new(), Sts::start());
    let role = role("mfa");
    let with = |more: &[&str]| {
        let words = ["--role-arn", &role, "--mfa-serial", DEVICE];
        whoami(&home, &sts, 66, &[&words[..], more].concat())
    };
    let told = [
        with(&[]),
        with(&["--mfa-code", "000000"]),
        with(&["--mfa-process", "exit 3"]),
        with(&["--mfa-process", "echo soon"]),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_code_of_the_command_line_or_of_a_program_opens_the_role() {
    let (home, sts) = (Home::new(), Sts::start());
    let code = sts.mfa_code(DEVICE).unwrap();
    let role = role("mfa");
    let words = ["--role-arn", &role, "--mfa-serial", DEVICE];
    whoami(&home, &sts, 0, &[&words[..], &["--mfa-code", &code]].concat());
    // The code has been used; a sandbox of its own takes it again.
    let other = Sts::start();
    let program = format!("echo {code}");
    whoami(&home, &other, 0, &[&words[..], &["--mfa-process", &program]].concat());
}

#[test]
fn an_unreachable_sts_ends_with_69_after_some_tries() {
    let home = Home::new();
    // A port that was free a moment ago, and is reserved for this test by nobody.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = home
        .rolekeeper(["whoami", "--role-arn", &role("demo")])
        .env("AWS_ENDPOINT_URL", format!("http://{free}"))
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .run()
        .expect(69);
    let (warnings, last): (Vec<&str>, Vec<&str>) =
        ran.stderr.lines().partition(|line| line.starts_with("warning: "));
    assert!(warnings.len() > 1, "{}", ran.stderr);
    assert!(warnings.iter().all(|line| line.contains("; next try in ")), "{}", ran.stderr);
    insta::assert_snapshot!(crate::support::hidden(&last.join("\n")), @r"
    error: no session for arn:aws:iam::123456789012:role/demo: the connection to STS at http://127.0.0.1:PORT was refused
    hint: check the network, any proxy, the Region and the endpoint URL
    ");
}

#[test]
fn a_short_outage_is_waited_out_and_told() {
    let (home, sts) = (Home::new(), Sts::start());
    let fail = Some(Failures { next: Some(1), status: 503, retry_after_seconds: None });
    sts.misbehave(Faults { fail, ..Faults::default() });
    let told = whoami(&home, &sts, 0, &["--role-arn", &role("demo")]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_code_that_no_table_has_is_still_told_as_it_came() {
    let (home, sts) = (Home::new(), Sts::start());
    let refusal = |code: &str, message: &str| {
        let refuse = AssumeRoleRefusal { code: code.into(), status: 403, message: message.into() };
        Faults { refuse_assume_role: Some(refuse), ..Faults::default() }
    };
    let role = ["--role-arn", &role("demo")];
    let told = [("NewFangled", "Not today"), ("AccessDenied", "")].map(|(code, message)| {
        sts.misbehave(refusal(code, message));
        whoami(&home, &sts, 68, &role)
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn every_verb_that_takes_a_role_ends_with_the_same_status() {
    let (home, sts) = (Home::new(), Sts::start());
    let forbidden = role("forbidden");
    let verbs: [&[&str]; 5] =
        [&["whoami"], &["export"], &["credential-process"], &["doctor"], &["exec"]];
    for verb in verbs {
        let program: &[&str] = if verb == ["exec"] { &["--", "true"] } else { &[] };
        let words = [verb, &["--role-arn", &forbidden], program].concat();
        let ran = home.rolekeeper(words).at(&sts).run().expect(68);
        assert_eq!(verb == ["doctor"], !ran.stdout.is_empty(), "{verb:?}: {}", ran.stdout);
    }
}
