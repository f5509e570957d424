//! Secrets where they can't be read, or are not taken: in a file that is damaged, in a line that was
//! mistyped, in what another program prints, in what STS says back. It is told, and not shown.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use rolekeeper_sandbox::{AssumeRoleRefusal, Faults};
use rustix::process::Signal;

use super::{Known, run_until_told, talkative};
use crate::support::{
    ANY_PORT, Agent, Home, Invocation, Sts, USER_SECRET, home_with_profiles, invocation, role,
    wait_for,
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn known() -> Known {
    Known::default().and("the misplaced secret", SECRET).and("the user's secret key", USER_SECRET)
}

/// It tells that something is wrong, and not the secret.
#[track_caller]
fn assert_told_without_it(what: &str, invocation: Invocation) -> String {
    let (status, told) = run_until_told(talkative(invocation));
    assert!(!told.is_empty(), "{what}: nothing is told");
    assert_ne!(status, Some(0), "{what} is taken");
    known().assert_none_in(&told, what);
    told
}

#[track_caller]
fn assert_discreet(what: &str, home: &Home, words: &[&str], variables: &[(&str, &str)]) {
    let command = home
        .rolekeeper([&["-vv"], words].concat())
        // Nobody listens there.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_REGION", "us-east-1");
    let set = |command: Invocation, (name, value): &(&str, &str)| command.env(name, value);
    assert_told_without_it(what, variables.iter().fold(command, set));
}

const WHOAMI: [&str; 3] = ["whoami", "--profile", "etl"];
const ROLE: &str = "role_arn = arn:aws:iam::123456789012:role/demo";

#[test]
fn a_damaged_credentials_file_is_told_without_what_is_in_it() {
    for text in [
        format!("[base]\naws_access_key_id AKIA\naws_secret_access_key {SECRET}\n"),
        format!("aws_secret_access_key = {SECRET}\n"),
        format!("[base\naws_access_key_id = A\naws_secret_access_key = {SECRET}\n"),
        format!("[base]\n{SECRET}\n"),
        format!("[base]\n = {SECRET}\n"),
        format!("[base]\naws_secret_access_key = {SECRET}\n"),
        format!("[base]\naws_access_key_id =\naws_secret_access_key = {SECRET}\n"),
        format!("[base]\naws_session_token = {SECRET}\n"),
        format!("[ba se]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\n"),
        format!("[base]\n  aws_secret_access_key = {SECRET}\n"),
    ] {
        let home = Home::new()
            .with_config(&format!("[profile etl]\n{ROLE}\nsource_profile = base\n"))
            .with_credentials(&text);
        for verb in ["whoami", "doctor", "export"] {
            assert_discreet(&text.replace(SECRET, "…"), &home, &[verb, "--profile", "etl"], &[]);
        }
    }
}

#[test]
fn what_another_program_gives_is_told_of_without_it() {
    let of = |key: &str, value: &str| {
        Home::new().with_config(&format!(
            "[profile base]\n{key} = {value}\n[profile etl]\n{ROLE}\nsource_profile = base\n"
        ))
    };
    for answer in [
        SECRET.to_owned(),
        format!(r#"{{"Version":1,"SecretAccessKey":"{SECRET}"}}"#),
        format!(r#"{{"Version":2,"AccessKeyId":"A","SecretAccessKey":"{SECRET}"}}"#),
        format!(r#"{{"Version":1,"AccessKeyId":7,"SecretAccessKey":"{SECRET}"}}"#),
        format!(
            r#"{{"Version":1,"AccessKeyId":"A","SecretAccessKey":"{SECRET}","Expiration":"{SECRET}"}}"#
        ),
        format!(r#"{{"Version":1,"AccessKeyId":"A","SecretAccessKey":"{SECRET}""#),
    ] {
        let home = of("credential_process", "cat answer");
        home.file("answer", &answer);
        assert_discreet(&answer.replace(SECRET, "…"), &home, &WHOAMI, &[]);
    }
    let home = of("credential_process", "sh -c 'cat answer; exit 1'");
    home.file("answer", SECRET);
    assert_discreet("a program that fails", &home, &WHOAMI, &[]);
    let demo = role("demo");
    let words =
        ["whoami", "--role-arn", &demo, "--mfa-serial", "arn:aws:iam::123456789012:mfa/demo"];
    let process = [&words[..], &["--mfa-process", "cat answer"]].concat();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    assert_discreet("a code that is none", &home, &process, &keys);
    let identity = home.file("identity", SECRET);
    let home = of("web_identity_token_file", identity.to_str().unwrap());
    assert_discreet("an identity token without a role", &home, &WHOAMI, &[]);
    let web = Home::new().with_config(&format!(
        "[profile etl]\n{ROLE}\nweb_identity_token_file = {}\n",
        identity.display()
    ));
    assert_discreet("an identity token that nobody is asked about", &web, &WHOAMI, &[]);
    let sts = Sts::start();
    let refused = web.rolekeeper(["-vv", "whoami", "--profile", "etl"]).at_endpoint(&sts);
    assert_told_without_it("an identity token that is refused", refused);
}

/// An endpoint for containers that answers each request with these bytes.
fn endpoint(answer: String) -> String {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let head = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            let _ = client.write_all(format!("HTTP/1.1 200 OK\r\n{head}{answer}").as_bytes());
        }
    });
    format!("http://{address}/")
}

#[test]
fn what_an_endpoint_answers_is_told_of_without_it() {
    // Side by side: the SDK asks again, and waits in between.
    thread::scope(|threads| {
        for answer in [
            SECRET.to_owned(),
            format!(r#"{{"AccessKeyId":"A","SecretAccessKey":"{SECRET}""#),
            format!(
                r#"{{"AccessKeyId":"A","SecretAccessKey":"{SECRET}","Expiration":"{SECRET}"}}"#
            ),
            format!(r#"{{"SecretAccessKey":"{SECRET}","Token":"{SECRET}"}}"#),
        ] {
            threads.spawn(move || assert_answer_is_not_shown(answer));
        }
    });
}

fn assert_answer_is_not_shown(answer: String) {
    let (what, url) = (answer.replace(SECRET, "…"), endpoint(answer));
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET),
    ];
    let demo = role("demo");
    assert_discreet(&what, &Home::new(), &["whoami", "--role-arn", &demo], &variables);
}

#[test]
fn base_keys_that_are_no_good_are_not_shown() {
    let (home, sts) = (Home::new(), Sts::start());
    let demo = role("demo");
    let broken = format!("{SECRET}\n{SECRET}");
    let id = "AKIAROLEKEEPERSANDBX";
    for (what, id, secret, token) in [
        ("a wrong secret key", id, SECRET, None),
        ("an unknown key", "AKIAIOSFODNN7EXAMPLE", SECRET, None),
        ("a token of nobody's", id, SECRET, Some(SECRET)),
        ("a secret key of two lines", id, &*broken, None),
        ("a token of two lines", id, SECRET, Some(&*broken)),
        ("a token that is no ASCII", id, SECRET, Some("wJalrXUtnFEMI/K7MDENG+é")),
    ] {
        for verb in ["whoami", "doctor"] {
            let words = ["-vv", verb, "--role-arn", &demo, "--store", "none"];
            let command = home
                .rolekeeper(words)
                .at_endpoint(&sts)
                .env("AWS_ACCESS_KEY_ID", id)
                .env("AWS_SECRET_ACCESS_KEY", secret);
            let command = match token {
                Some(token) => command.env("AWS_SESSION_TOKEN", token),
                None => command,
            };
            assert_told_without_it(what, command);
        }
    }
}

/// What a service of AWS' says of a signature that it finds wrong: with all that was signed.
fn refusal_with_all_that_was_signed() -> Faults {
    let message = format!(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details.\
         \n\nThe Canonical String for this request should have been\n'POST\n/\n\n\
         host:sts.us-east-1.amazonaws.com\nx-amz-date:20260101T000000Z\n\
         x-amz-security-token:{SECRET}\n\nhost;x-amz-date;x-amz-security-token\n\
         e3b0c44298fc1c14'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n'\n"
    );
    let code = "SignatureDoesNotMatch".to_owned();
    let refuse_assume_role = Some(AssumeRoleRefusal { code, status: 403, message });
    Faults { refuse_assume_role, ..Faults::default() }
}

#[test]
fn what_sts_says_back_of_a_request_is_not_told_on() {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
    sts.misbehave(refusal_with_all_that_was_signed());
    for verb in ["whoami", "doctor", "export", "credential-process"] {
        let words = ["-vv", verb, "--profile", "etl"];
        let told = assert_told_without_it(verb, home.rolekeeper(words).at_endpoint(&sts));
        assert!(told.contains("signature"), "{verb} tells why: {told}");
    }
    let arguments = ["-vv", "--profile", "etl", "--listen", ANY_PORT, "--log", "json"];
    let agent = Agent::of(&home, talkative(invocation(&home, &sts, &arguments)));
    let status = wait_for("the refusal", || {
        let status = home.rolekeeper(["status"]).run().expect(0).stdout;
        status.contains("SignatureDoesNotMatch").then_some(status)
    });
    known().assert_none_in(status, "status");
    let reply = agent.get("etl");
    known().assert_none_in(reply.head + &reply.body, "the endpoint's answer");
    let (_, stderr) = agent.end(Signal::TERM);
    assert!(stderr.contains("SignatureDoesNotMatch"), "{stderr}");
    known().assert_none_in(stderr, "the agent's log");
}

#[test]
fn a_wrong_configuration_is_told_without_the_secrets_in_it() {
    let home = home_with_profiles(&["etl"]);
    for text in [
        format!("[role.etl]\naws_secret_access_key = \"{SECRET}\"\n"),
        format!("[role.etl]\ntoken = \"{SECRET}\"\n"),
        format!("[role.etl]\ntoken_env = \"{SECRET}\"\n"),
        format!("[role.etl]\naws_secret_access_key = {SECRET}\n"),
        format!("[role.etl]\npassword = \"{SECRET}\n"),
        format!("store = \"redis://:{SECRET}@127.0.0.1:x\"\n[role.etl]\n"),
        format!("store = \"redis://:{SECRET}@127.0.0.1:1\"\n[role.etl]\n"),
        format!("store = \"{SECRET}\"\n[role.etl]\n"),
        format!("store = [\"{SECRET}\"]\n[role.etl]\n"),
        format!("secret_access_key = \"{SECRET}\"\n"),
    ] {
        home.file("agent.toml", &text);
        let words = ["serve", "--config", "agent.toml", "--check"];
        assert_discreet(&text.replace(SECRET, "…"), &home, &words, &[]);
    }
    for text in [
        format!("[users.a]\naccess_key_id = 1\nsecret_access_key = \"{SECRET}\"\n"),
        format!("[users.a]\naccess_key_id = \"A\"\nsecret_access_key = [\"{SECRET}\"]\n"),
        format!("[users.a]\nsecret = \"{SECRET}\"\n"),
        format!("[users.a]\nsecret_access_key = {SECRET}\n"),
        format!("[issuers.a]\nurl = \"x\"\nsecret = \"{SECRET}\n"),
    ] {
        home.file("sandbox.toml", &text);
        let words = ["sandbox", "--config", "sandbox.toml"];
        assert_discreet(&text.replace(SECRET, "…"), &home, &words, &[]);
    }
    let token = home.file("token", &format!("{SECRET}\n"));
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.file("agent.toml", "[role.etl]\ntoken_file = \"token\"\n");
    let words = ["serve", "--config", "agent.toml", "--listen", ANY_PORT];
    assert_discreet("a token with an end of line", &home, &words, &[]);
    home.file("agent.toml", "[role.etl]\ntoken_env = \"TOKEN\"\n");
    let token = format!("{SECRET}\u{e9}");
    assert_discreet("a token of other letters", &home, &words, &[("TOKEN", &token)]);
}

#[test]
fn a_store_that_cannot_be_had_is_told_without_its_password_and_keys() {
    let home = home_with_profiles(&["etl"]);
    let place = format!("redis://user:{SECRET}@127.0.0.1:1");
    let key = "0123456789abcdef".repeat(4);
    let words = ["whoami", "--profile", "etl"];
    for (what, place, key) in [
        ("a Redis that is not there", &*place, &*key),
        ("a key that is none", &place, SECRET),
        ("a key that is too long", &place, &format!("{key}{SECRET}")),
        ("an address without a port", &format!("redis://user:{SECRET}@"), &key),
        ("an address of another kind", &format!("mongodb://user:{SECRET}@127.0.0.1"), &key),
        ("an address with a bad port", &format!("rediss://user:{SECRET}@127.0.0.1:none"), &key),
    ] {
        let variables = [("ROLEKEEPER_STORE", place), ("ROLEKEEPER_STORE_KEY", key)];
        assert_discreet(what, &home, &words, &variables);
    }
    let file = home.file("keys", &format!("{SECRET}\n"));
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let variables = [("ROLEKEEPER_STORE", &*place), ("ROLEKEEPER_STORE_KEY_FILE", "keys")];
    assert_discreet("a file of keys that are none", &home, &words, &variables);
}

#[test]
fn a_damaged_cache_of_others_is_told_of_without_it() {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
    let whoami = |how| {
        let words = ["-vv", "whoami", "--profile", "etl", "--aws-cache", how];
        talkative(home.rolekeeper(words).at_endpoint(&sts)).env("ROLEKEEPER_STORE", "none").run()
    };
    whoami("write").expect(0);
    let folder = home.path().join(".aws/cli/cache");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    for text in [
        SECRET.to_owned(),
        format!(r#"{{"Credentials":{{"AccessKeyId":"A","SecretAccessKey":"{SECRET}"}}}}"#),
        format!(r#"{{"Credentials":"{SECRET}"}}"#),
        format!(
            r#"{{"Credentials":{{"AccessKeyId":"A","SecretAccessKey":"{SECRET}","SessionToken":"{SECRET}","Expiration":"{SECRET}"}}}}"#
        ),
    ] {
        fs::write(&file, &text).unwrap();
        let ran = whoami("read").expect(0);
        known().assert_none_in(ran.stdout + &ran.stderr, text.replace(SECRET, "…"));
    }
}
