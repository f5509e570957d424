//! An independent server that checks signatures, session tokens and policies over many services.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{program, script};
use crate::support::{Home, Invocation, wait_for};

/// Killed when dropped.
struct Moto {
    child: Child,
    url: String,
    /// What `moto_world.py` made: a user's key, a role's ARN.
    world: Value,
}

impl Moto {
    fn start() -> Self {
        let mut child = bare(&program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // It goes on writing: somebody has to read.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on http://") {
                    let _ = tell.send(format!("http://{}", address.trim()));
                }
            }
        });
        let mut moto = Self { child, url: String::new(), world: Value::Null };
        moto.url = wait_for("moto's address", || told.try_recv().ok());
        let output = bare(&program("python"))
            .args([script("moto_world.py"), moto.url.clone()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        moto.world = serde_json::from_slice(&output.stdout).unwrap();
        moto
    }

    fn told(&self, name: &str) -> &str {
        self.world[name].as_str().unwrap()
    }

    fn rolekeeper(&self, home: &Home, words: &[&str]) -> Invocation {
        home.rolekeeper(words)
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", self.told("access_key_id"))
            .env("AWS_SECRET_ACCESS_KEY", self.told("secret_access_key"))
    }
}

/// Without this machine's environment.
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nowhere");
    command
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn an_independent_server_accepts_what_we_send_and_what_we_serve() {
    let (home, moto) = (Home::new(), Moto::start());
    let role = moto.told("role_arn");

    let words = ["whoami", "--json", "--role-arn", role, "--role-session-name", "moto"];
    let who = moto.rolekeeper(&home, &words).run().expect(0).json();
    assert_eq!(who["Arn"], "arn:aws:sts::123456789012:assumed-role/job/moto");

    // Every parameter that is signed and sent. Without a space in any: moto checks the signature
    // over a body that it has written anew, with `+` for a space, and so refuses `%20`, which says
    // the same.
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let words = [
        "whoami",
        "--role-arn",
        role,
        "--duration",
        "15m",
        "--external-id",
        "id=,.@:/-",
        "--policy",
        policy,
        "--tag",
        "a+key=a/value=more",
        "--transitive-tag-key",
        "a+key",
        "--source-identity",
        "tester@example.com",
    ];
    moto.rolekeeper(&home, &words).run().expect(0);

    let words = ["export", "--format", "json", "--role-arn", role];
    let exported = moto.rolekeeper(&home, &words).that_shows_secrets().run().expect(0).json();
    assert!(exported["AccessKeyId"].is_string());

    let (python, services) = (program("python"), script("services.py"));
    for how in [&["exec"][..], &["exec", "--env"]] {
        let words = [how, &["--role-arn", role, "--", &python, &services]].concat();
        let seen = moto.rolekeeper(&home, &words).run().expect(0).json();
        assert_eq!(seen["sts"], "ok", "{seen}");
        assert_eq!(seen["s3"], "ok", "{seen}");
        assert_eq!(seen["s3 object"], "ok", "{seen}");
        assert_eq!(seen["sqs"], "ok", "{seen}");
        assert_eq!(seen["rds"], "denied", "{seen}");
        assert_eq!(seen["dynamodb"], "denied", "{seen}");
    }
}

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn what_it_refuses_ends_with_68_and_a_hint() {
    let (home, moto) = (Home::new(), Moto::start());
    let words = ["whoami", "--role-arn", moto.told("role_arn")];
    let wrong = moto.rolekeeper(&home, &words).env("AWS_SECRET_ACCESS_KEY", "wrong").run();
    let wrong = wrong.expect(68);
    assert!(wrong.stderr.contains("SignatureDoesNotMatch"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("hint: check the base credentials' secret"), "{}", wrong.stderr);

    let words = ["whoami", "--role-arn", "arn:aws:iam::123456789012:role/other"];
    let denied = moto.rolekeeper(&home, &words).run().expect(68);
    assert!(denied.stderr.contains("AccessDenied"), "{}", denied.stderr);
    assert!(denied.stderr.contains("hint: check that the role exists"), "{}", denied.stderr);

    let words = ["whoami", "--role-arn", moto.told("role_arn")];
    let unknown = moto.rolekeeper(&home, &words).env("AWS_ACCESS_KEY_ID", "AKIANOBODY0000000000");
    let unknown = unknown.run().expect(68);
    assert!(unknown.stderr.contains("hint: "), "{}", unknown.stderr);

    let doctor = moto.rolekeeper(&home, &["doctor", "--role-arn", moto.told("role_arn")]);
    doctor.run().expect(0);
}
