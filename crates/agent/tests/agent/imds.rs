//! IMDSv2 over real sockets.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
    sync::atomic::Ordering,
    time::Duration,
};

use rolekeeper::Clock;
use rolekeeper_agent::{Face, Listener, Place, Plan, RoleName, Rule};

use crate::support::{DEADLINE, Reply, Running, Tap, role, wait_for};

const LIFETIME: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";

const PUT: &str = "PUT /latest/api/token";
const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
const SESSION: &str = "GET /latest/meta-data/iam/security-credentials/etl";

const REGION: &str = "eu-west-1";

fn face(v1: bool) -> Face {
    let role = RoleName::parse("etl").unwrap();
    Face::Imds { role, region: Some(REGION.to_owned()), v1, key: None }
}

fn face_with_key(file: PathBuf) -> Face {
    let role = RoleName::parse("etl").unwrap();
    Face::Imds { role, region: None, v1: false, key: Some(file) }
}

fn running(tap: &Tap) -> Running {
    Running::with(tap, &[face(false)])
}

impl Running {
    /// Behind a socket that is bound already, so that the next one can have the same.
    fn behind(socket: &TcpListener, face: Face) -> Self {
        let mut running = Self::serve(Vec::new, &[]);
        running.listening = running.runtime.block_on(async {
            let roles = vec![role("etl", &Tap::default(), Rule::anybody())];
            let at = Place::Inherited(socket.try_clone().unwrap());
            let plan = Plan { roles, listeners: vec![Listener { at, face }] };
            running.agent.serve(plan).await.unwrap()
        });
        running
    }

    /// As SDKs fetch it.
    fn token(&self) -> String {
        let reply = self.ask(PUT, &[(LIFETIME, "21600")]);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// With a token of its own.
    fn read(&self, line: &str) -> Reply {
        self.ask(line, &[(TOKEN, &self.token())])
    }
}

/// At a listener that is not the first.
fn ask_at(at: SocketAddr, line: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = format!("{line} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut socket = TcpStream::connect(at).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    Reply::read(socket)
}

#[test]
fn a_token_the_role_and_its_session_are_had_as_from_ec2() {
    let running = running(&Tap::default());
    let token = running.ask(PUT, &[(LIFETIME, "300"), ("Content-Length", "0")]);
    assert_eq!(token.status, 200, "{}", token.body);
    assert!(token.head.contains("x-aws-ec2-metadata-token-ttl-seconds: 300"), "{}", token.head);
    assert!(token.head.contains("content-type: text/plain"), "{}", token.head);
    assert!(!token.body.is_empty() && token.body.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let with_token = [(TOKEN, token.body.as_str())];
    let roles = running.ask(ROLES, &with_token);
    assert_eq!((roles.status, roles.body.as_str()), (200, "etl"));
    let reply = running.ask(SESSION, &with_token);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    let document = reply.json();
    assert_eq!(document["Code"], "Success");
    assert_eq!(document["Type"], "AWS-HMAC");
    assert_eq!(document["AccessKeyId"], "ASIA1");
    assert_eq!(document["SecretAccessKey"], "the secret");
    assert_eq!(document["Token"], "the session token");
    assert_eq!(document["AccountId"], "123456789012");
    for time in ["Expiration", "LastUpdated"] {
        let time = document[time].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == 20, "{time}");
    }
}

#[test]
fn every_path_that_sdks_walk_is_there_with_and_without_its_slashes() {
    let running = running(&Tap::default());
    let token = running.token();
    for (path, body) in [
        ("/", "latest"),
        ("/latest", "dynamic\nmeta-data"),
        ("/latest/meta-data/", "iam/\ninstance-id\nplacement/"),
        ("/latest/meta-data/iam/", "info\nsecurity-credentials/\nsecurity-credentials-extended/"),
        ("/latest/meta-data/iam/security-credentials", "etl"),
        ("//latest/meta-data/iam/security-credentials/", "etl"),
        ("/latest/meta-data/iam/security-credentials-extended/", "etl"),
        ("/latest/meta-data/placement/", "availability-zone\nregion"),
        ("/latest/meta-data/placement/region", "eu-west-1"),
        ("/latest/meta-data/placement/availability-zone/", "eu-west-1a"),
        ("/latest/meta-data/instance-id", "i-00000000000000000"),
        ("/latest/dynamic/instance-identity/", "document"),
    ] {
        let reply = running.ask(&format!("GET {path}"), &[(TOKEN, &token)]);
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{path}");
        assert!(reply.head.contains("content-type: text/plain"), "{path}: {}", reply.head);
    }
    for path in [
        "/latest/meta-data/iam/security-credentials/etl",
        "/latest/meta-data/iam/security-credentials/etl?a=b",
        "//latest/meta-data/iam/security-credentials/etl",
        "/latest/meta-data/iam/security-credentials/%65tl",
        "/latest/meta-data/iam/security-credentials-extended/etl",
    ] {
        let reply = running.ask(&format!("GET {path}"), &[(TOKEN, &token)]);
        assert_eq!(reply.json()["AccessKeyId"], "ASIA1", "{path}");
    }
    let info = running.read("GET /latest/meta-data/iam/info").json();
    assert_eq!(info["Code"], "Success");
    assert_eq!(info["InstanceProfileArn"], "arn:aws:iam::123456789012:instance-profile/etl");
    let machine = running.read("GET /latest/dynamic/instance-identity/document").json();
    assert_eq!(machine["region"], "eu-west-1");
    assert_eq!(machine["accountId"], "123456789012");
    assert_eq!(machine["version"], "2017-09-30");
}

#[test]
fn without_a_region_none_is_made_up() {
    let role = RoleName::parse("etl").unwrap();
    let nowhere = Face::Imds { role, region: None, v1: false, key: None };
    let running = Running::with(&Tap::default(), &[nowhere]);
    for path in [
        "/latest/meta-data/placement/region",
        "/latest/meta-data/placement/availability-zone",
        "/latest/dynamic/instance-identity/document",
    ] {
        assert_eq!(running.read(&format!("GET {path}")).status, 404, "{path}");
    }
    assert_eq!(running.read(SESSION).status, 200);
}

#[test]
fn a_head_is_answered_as_a_get_without_its_body() {
    let running = running(&Tap::default());
    for path in ["/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/info"] {
        let length = running.read(&format!("GET {path}")).body.len();
        let head = running.read(&format!("HEAD {path}"));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert!(head.head.contains(&format!("content-length: {length}")), "{}", head.head);
    }
    assert_eq!(running.ask("HEAD /latest/meta-data/iam/info", &[]).status, 401);
}

#[test]
fn every_request_that_is_not_as_it_should_be_gets_its_status() {
    let running = running(&Tap::default());
    let token = running.token();
    let right = (TOKEN, token.as_str());
    let lifetime = (LIFETIME, "60");
    let empty = ("Content-Length", "0");
    let shorter = &token[..token.len() - 1];
    let longer = format!("{token}0");
    for (line, headers, status) in [
        (PUT, &[lifetime][..], 200),
        ("PUT //latest/api/token", &[lifetime], 200),
        (PUT, &[(LIFETIME, "1")], 200),
        (PUT, &[(LIFETIME, "21600")], 200),
        (PUT, &[], 400),
        (PUT, &[(LIFETIME, "")], 400),
        (PUT, &[(LIFETIME, "0")], 400),
        (PUT, &[(LIFETIME, "21601")], 400),
        (PUT, &[(LIFETIME, "-1")], 400),
        (PUT, &[(LIFETIME, "+60")], 400),
        (PUT, &[(LIFETIME, "sixty")], 400),
        (PUT, &[(LIFETIME, "99999999999999999999")], 400),
        (PUT, &[lifetime, lifetime], 400),
        (PUT, &[lifetime, ("X-Forwarded-For", "10.0.0.1")], 403),
        (PUT, &[lifetime, ("Origin", "http://evil.example")], 403),
        (PUT, &[lifetime, ("Sec-Fetch-Mode", "cors")], 403),
        ("GET /latest/api/token", &[lifetime], 405),
        ("GET /latest/api/token", &[right], 405),
        ("PUT /latest/api", &[lifetime], 405),
        ("POST /latest/api/token", &[lifetime, empty], 405),
        (SESSION, &[], 401),
        (SESSION, &[(TOKEN, "")], 401),
        (SESSION, &[(TOKEN, shorter)], 401),
        (SESSION, &[(TOKEN, &longer)], 401),
        (SESSION, &[(TOKEN, &token.to_uppercase())], 401),
        (SESSION, &[("Authorization", &token)], 401),
        (SESSION, &[right, right], 400),
        (SESSION, &[right, ("Origin", "null")], 403),
        (SESSION, &[right, ("X-Forwarded-For", "10.0.0.1")], 403),
        (ROLES, &[], 401),
        ("GET /no/such/path", &[], 401),
        ("GET /no/such/path", &[right], 404),
        ("GET /latest/meta-data/iam/security-credentials/other", &[right], 404),
        ("GET /latest/meta-data/iam/security-credentials/etl/x", &[right], 404),
        ("GET /latest/user-data", &[right], 404),
        ("POST /latest/meta-data/", &[right, empty], 405),
        ("OPTIONS /latest/api/token", &[], 405),
        ("OPTIONS /latest/meta-data/", &[], 405),
        ("DELETE /no/such/path", &[right], 405),
        (SESSION, &[right], 200),
    ] {
        let reply = running.ask(line, headers);
        assert_eq!(reply.status, status, "{line} {headers:?}: {}", reply.body);
        if status == 405 {
            let is_token = line.ends_with("/api/token");
            let allow = if is_token { "allow: put\r\n" } else { "allow: get, head\r\n" };
            assert!(format!("{}\r\n", reply.head).contains(allow), "{line}: {}", reply.head);
        }
        if line == PUT && status == 400 && headers.len() < 2 {
            assert!(reply.body.contains("token-ttl-seconds must be 1 to 21600"), "{}", reply.body);
        }
        if status != 200 {
            assert!(reply.json()["Code"].is_string(), "{line}: {}", reply.body);
            assert!(!reply.body.contains("the secret"), "{line}");
        }
    }
    let rebound = format!("evil.example:{}", running.address().port());
    for (line, header) in [(PUT, lifetime), (SESSION, right)] {
        let reply = running.ask_plainly(line, &[("Host", &rebound), header]);
        assert_eq!(reply.status, 403, "{line}");
    }
}

#[test]
fn a_token_of_one_listener_is_none_at_another() {
    let running = Running::with(&Tap::default(), &[face(false), face(false)]);
    let token = running.token();
    let second = running.listening[1].address;
    assert_eq!(running.ask(SESSION, &[(TOKEN, &token)]).status, 200);
    assert_eq!(ask_at(second, SESSION, &[(TOKEN, &token)]).status, 401);
    let theirs = ask_at(second, PUT, &[(LIFETIME, "60")]).body;
    assert_eq!(ask_at(second, SESSION, &[(TOKEN, &theirs)]).status, 200);
    assert_eq!(running.ask(SESSION, &[(TOKEN, &theirs)]).status, 401);
}

#[test]
fn a_token_outlives_a_restart_if_its_key_is_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made by the agent/imds.key");
    for (face, status) in [(face_with_key(file.clone()), 200), (face(false), 401)] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let token = Running::behind(&socket, face.clone()).token();
        let restarted = Running::behind(&socket, face);
        assert_eq!(restarted.ask(SESSION, &[(TOKEN, &token)]).status, status);
    }
    // Another listener with the same file.
    let token = Running::with(&Tap::default(), &[face_with_key(file.clone())]).token();
    let other = Running::with(&Tap::default(), &[face_with_key(file.clone())]);
    assert_eq!(other.ask(SESSION, &[(TOKEN, &token)]).status, 401);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_key_file_that_cannot_be_had_costs_nothing_but_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("imds.key");
    fs::write(&file, "a key that everybody may read").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let running = Running::with(&Tap::default(), &[face_with_key(file)]);
    assert_eq!(running.read(SESSION).status, 200);
}

#[test]
fn a_token_ends() {
    let running = running(&Tap::default());
    let token = running.ask(PUT, &[(LIFETIME, "1")]).body;
    wait_for("the token ends", || running.ask(ROLES, &[(TOKEN, &token)]).status == 401);
    assert_eq!(running.read(ROLES).status, 200);
}

#[test]
fn version_1_is_answered_only_where_it_was_asked_for() {
    let (off, on) = (running(&Tap::default()), Running::with(&Tap::default(), &[face(true)]));
    for line in [ROLES, SESSION, "GET /latest/meta-data/placement/region"] {
        assert_eq!(off.ask(line, &[]).status, 401, "{line}");
        assert_eq!(on.ask(line, &[]).status, 200, "{line}");
        assert_eq!(on.read(line).status, 200, "{line}");
        assert_eq!(on.ask(line, &[(TOKEN, "wrong")]).status, 401, "{line}");
    }
    assert_eq!(on.ask("GET /latest/user-data", &[]).status, 404);
    assert_eq!(on.ask(SESSION, &[("X-Forwarded-For", "10.0.0.1")]).status, 403);
}

#[test]
fn a_program_that_the_rule_does_not_admit_gets_a_token_and_nothing_else() {
    let nobody = Rule { uids: vec![u32::MAX - 7], ..Rule::default() };
    let tap = Tap::default();
    let running = Running::serve(|| vec![role("etl", &tap, nobody)], &[face(true)]);
    let token = running.token();
    for line in [ROLES, SESSION, "GET /latest/meta-data/iam/info", "GET /latest/user-data"] {
        assert_eq!(running.ask(line, &[(TOKEN, &token)]).status, 403, "{line}");
        assert_eq!(running.ask(line, &[]).status, 403, "{line}");
    }
    let role = running.agent.roles().remove(0);
    assert_eq!(role.counters().reads.load(Ordering::SeqCst), 0);
}

#[test]
#[ignore = "needs root, who can act as another user"]
fn another_user_is_refused_a_role_without_a_rule() {
    let running = Running::with(&Tap::default(), &[face(true)]);
    let (host, port) = (running.address().ip(), running.address().port());
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port}
         printf '{SESSION} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n' >&3
         cat <&3"
    );
    for (uid, status) in [(0, 200), (65_534, 403)] {
        let output = Command::new("bash").args(["-c", &script]).uid(uid).output().unwrap();
        assert_eq!(Reply::read(&*output.stdout).status, status, "{uid}: {output:?}");
    }
}

#[test]
fn a_request_is_held_until_the_fetch_comes_back() {
    let tap = Tap::default();
    tap.hold(true);
    let running = running(&tap);
    let token = running.token();
    // Which role there is, is known without a session.
    assert_eq!(running.read(ROLES).body, "etl");
    let mut socket = running.connect();
    let host = running.address();
    let request = format!(
        "{SESSION} HTTP/1.1\r\nHost: {host}\r\n{TOKEN}: {token}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let role = running.agent.roles().remove(0);
    wait_for("the request is held", || role.counters().held.load(Ordering::SeqCst) == 1);
    tap.hold(false);
    assert_eq!(Reply::read(socket).status, 200);
}

#[test]
fn without_a_session_the_answer_comes_before_a_client_gives_up_and_is_never_a_200() {
    for (fails, holds) in [(true, false), (false, true)] {
        let tap = Tap::default();
        tap.fail(fails);
        tap.hold(holds);
        let running = running(&tap);
        let token = running.token();
        for path in [SESSION, "GET /latest/meta-data/iam/info"] {
            let clock = Clock::default();
            let before = clock.now().elapsed;
            let reply = running.ask(path, &[(TOKEN, &token)]);
            let took = clock.now().elapsed.since(before);
            assert_eq!(reply.status, 503, "{path}: {}", reply.body);
            assert!(took < Duration::from_secs(1), "{path}: {took:?}");
            let why = reply.json();
            assert!(why["Code"].is_string() && why["Message"].is_string(), "{why}");
        }
        // The Region is known all the same.
        let machine = running.read("GET /latest/dynamic/instance-identity/document").json();
        assert_eq!(machine["region"], REGION);
    }
}

#[test]
fn an_outage_is_invisible_while_the_session_lives() {
    let tap = Tap::default();
    let running = running(&tap);
    assert_eq!(running.read(SESSION).json()["AccessKeyId"], "ASIA1");
    tap.fail(true);
    let role = running.agent.roles().remove(0);
    assert!(running.runtime.block_on(role.credentials().refresh_now()).is_err());
    assert_eq!(running.read(SESSION).json()["AccessKeyId"], "ASIA1");
    tap.fail(false);
    running.runtime.block_on(role.credentials().refresh_now()).unwrap();
    assert_eq!(running.read(SESSION).json()["AccessKeyId"], "ASIA3");
}

#[test]
fn senseless_bytes_are_refused_and_harm_nobody() {
    let running = running(&Tap::default());
    let host = running.address();
    for (header, line) in [(LIFETIME, PUT), (TOKEN, SESSION)] {
        for value in
            [&b"\xff\xfe\x80"[..], b"\t", b"\x01", &[b'9'; 7000], &[b'a'; 7000], &[b'f'; 100_000]]
        {
            let head =
                format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}: ");
            let reply = running.send(&[head.as_bytes(), value, b"\r\n\r\n"].concat());
            assert!(matches!(reply.status, 0 | 400 | 401 | 431), "{reply:?}");
        }
    }
    for path in [
        "/%",
        "/%ff/%00",
        "/latest/%2e%2e/latest",
        "*",
        "/latest/meta-data/iam/security-credentials/%",
    ] {
        assert!(matches!(running.read(&format!("GET {path}")).status, 400 | 404), "{path}");
    }
    let deep = format!("GET {}", "/x".repeat(2000));
    assert_eq!(running.read(&deep).status, 404);
    assert_eq!(running.read(SESSION).status, 200);
}

/// A process of its own, whose memory nothing else changes.
#[test]
fn a_hundred_thousand_tokens_leave_nothing_behind() {
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "imds::hundred_thousand_tokens", "--ignored", "-q"])
        .env("ROLEKEEPER_TEST_TOKENS", "100000")
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "a helper of the test above, which runs it as a process"]
fn hundred_thousand_tokens() {
    let Ok(count) = env::var("ROLEKEEPER_TEST_TOKENS") else { return };
    let running = running(&Tap::default());
    running.fetch_tokens(50);
    let before = resident_kilobytes();
    let count: usize = count.parse().unwrap();
    running.fetch_tokens(count / Running::AT_ONCE);
    let growth = resident_kilobytes().saturating_sub(before);
    // Remembered, they would be ten megabytes.
    assert!(growth < 2_048, "{growth} KB more");
}

fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Running {
    const AT_ONCE: usize = 100;

    /// Over one connection, so many times [`AT_ONCE`](Self::AT_ONCE).
    fn fetch_tokens(&self, times: usize) {
        let mut socket = self.connect();
        let host = self.address();
        let request = format!("{PUT} HTTP/1.1\r\nHost: {host}\r\n{LIFETIME}: 21600\r\n\r\n");
        // Every answer is as long as the first.
        socket.write_all(request.as_bytes()).unwrap();
        let mut first = vec![0; 4096];
        let length = socket.read(&mut first).unwrap();
        let mut answers = vec![0; length * Self::AT_ONCE];
        for _ in 0..times {
            socket.write_all(request.repeat(Self::AT_ONCE).as_bytes()).unwrap();
            socket.read_exact(&mut answers).unwrap();
            assert!(answers.chunks(length).all(|answer| answer.starts_with(b"HTTP/1.1 200 ")));
        }
    }
}
