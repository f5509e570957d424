//! The Unix socket: who gets in, what it tells, and what becomes of its file.

use std::{
    fs,
    io::Write,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rolekeeper_agent::{
    Agent, BindError, Face, Listener, Place, Plan, Rule,
    local::client::{self, Answer},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Reply, Tap, role};

/// An agent at a Unix socket, with the one role `etl`.
struct Local {
    folder: TempDir,
    runtime: Runtime,
    agent: Agent,
}

impl Local {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), runtime, agent: Agent::new() }
    }

    fn started(tap: &Tap) -> Self {
        let local = Self::new();
        local.serve(tap).unwrap();
        local
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/agent.sock")
    }

    fn serve(&self, tap: &Tap) -> Result<(), BindError> {
        serve(&self.runtime, &self.agent, tap, self.path())
    }

    fn send(&self, request: &[u8]) -> Reply {
        let mut socket = UnixStream::connect(self.path()).unwrap();
        let _ = socket.write_all(request);
        Reply::read(socket)
    }

    fn ask(&self, line: &str) -> Reply {
        self.send(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }
}

fn serve(runtime: &Runtime, agent: &Agent, tap: &Tap, path: PathBuf) -> Result<(), BindError> {
    let _inside = runtime.enter();
    let roles = vec![role("etl", tap, Rule::anybody())];
    let listeners = vec![Listener { at: Place::Path(path), face: Face::Local }];
    runtime.block_on(agent.serve(Plan { roles, listeners })).map(drop)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_socket_and_its_folder_are_for_this_user_alone() {
    let local = Local::started(&Tap::default());
    assert_eq!(mode(&local.path()), 0o600);
    assert_eq!(mode(local.path().parent().unwrap()), 0o700);
    assert_eq!(fs::read_dir(local.path().parent().unwrap()).unwrap().count(), 1, "no leftovers");
}

#[test]
fn the_socket_of_an_agent_that_died_is_taken_over() {
    let local = Local::new();
    fs::create_dir(local.path().parent().unwrap()).unwrap();
    drop(UnixListener::bind(local.path()).unwrap());
    assert!(local.path().exists());
    local.serve(&Tap::default()).unwrap();
    assert_eq!(client::status(&local.path()).unwrap().roles.len(), 1);
}

#[test]
fn the_socket_of_an_agent_that_lives_is_left_to_it() {
    let (one, tap) = (Local::started(&Tap::default()), Tap::default());
    let refused = serve(&one.runtime, &Agent::new(), &tap, one.path()).unwrap_err().to_string();
    let pid = std::process::id();
    assert!(
        refused.contains(&format!("another agent is listening there, process {pid}")),
        "{refused}"
    );
    assert_eq!(client::status(&one.path()).unwrap().pid, pid);
}

#[test]
fn a_file_that_is_no_socket_is_left_whole() {
    let local = Local::new();
    fs::create_dir(local.path().parent().unwrap()).unwrap();
    fs::write(local.path(), "precious").unwrap();
    let refused = local.serve(&Tap::default()).unwrap_err().to_string();
    assert!(refused.contains("no socket"), "{refused}");
    assert_eq!(fs::read_to_string(local.path()).unwrap(), "precious");
}

#[test]
fn the_file_goes_with_the_agent_and_stays_over_a_reload() {
    let local = Local::started(&Tap::default());
    local.serve(&Tap::default()).unwrap();
    assert_eq!(client::status(&local.path()).unwrap().roles.len(), 1);
    local.agent.shutdown();
    crate::support::wait_for("the file has gone", || !local.path().exists());
}

#[test]
fn the_status_tells_of_each_role_and_no_secret() {
    let tap = Tap::default();
    let local = Local::started(&tap);
    assert_eq!(local.ask("GET /v1/credentials?role=etl").status, 200);
    tap.fail(true);
    let etl = local.agent.roles().remove(0);
    local.runtime.block_on(etl.credentials().refresh_now()).unwrap_err();
    let text = local.ask("GET /v1/status").body;
    assert!(!text.contains("the secret") && !text.contains("the session token"), "{text}");
    let status = client::status(&local.path()).unwrap();
    let [role] = &status.roles[..] else { panic!("{status:?}") };
    assert_eq!((role.name.as_str(), role.source.as_str()), ("etl", "a test's source"));
    assert_eq!((role.generation, role.reads), (1, 1));
    assert!((3500..=3600).contains(&role.remaining_seconds), "{role:?}");
    assert!(role.next_refresh_seconds.is_some());
    let error = role.last_error.as_ref().unwrap();
    assert_eq!(error.kind, "unavailable");
    assert!(error.message.contains("told to fail"), "{error:?}");
}

#[test]
fn a_session_is_given_in_the_words_of_credential_process() {
    let local = Local::started(&Tap::default());
    let reply = local.ask("GET /v1/credentials?role=etl");
    let document = reply.json();
    assert_eq!(document["Version"], 1);
    assert_eq!(document["AccessKeyId"], "ASIA1");
    assert_eq!(document["SessionToken"], "the session token");
    assert_eq!(local.ask("GET /v1/credentials?role=etl").body, reply.body);
}

#[test]
fn what_is_not_served_is_not_found_and_what_makes_no_sense_is_refused() {
    let local = Local::started(&Tap::default());
    for (line, status) in [
        ("GET /v1/credentials?role=other", 404),
        ("GET /v1/credentials?profile=etl", 404),
        ("GET /v1/credentials?profile=%ff", 400),
        ("GET /v1/credentials", 400),
        ("GET /", 404),
        ("GET /role/etl", 404),
        ("POST /v1/status", 405),
        ("GET /v1/status", 200),
    ] {
        assert_eq!(local.ask(line).status, status, "{line}");
    }
    assert!(matches!(local.send(b"\x16\x03\x01\r\n\r\n").status, 0 | 400));
    let answer = client::credentials_of_profile(&local.path(), "no such profile").unwrap();
    assert!(matches!(answer, Answer::NotServed), "{answer:?}");
}

#[test]
fn an_agent_that_dies_in_the_middle_of_its_answer_has_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"AccessKeyId\":\"A",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
        "nonsense\r\n\r\n",
    ] {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = std::io::Read::read(&mut stream, &mut request);
                let _ = stream.write_all(answer.as_bytes());
            });
            client::credentials_of_profile(&path, "etl").unwrap_err();
        });
    }
}

#[test]
#[ignore = "needs root, who can act as another user"]
fn another_user_is_not_even_read_from() {
    use std::os::unix::process::CommandExt;
    let local = Local::started(&Tap::default());
    // The modes would keep it out: what is left is the agent's own look at who it is.
    fs::set_permissions(local.path(), fs::Permissions::from_mode(0o666)).unwrap();
    for folder in [local.path().parent().unwrap(), local.folder.path()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = r#"socket(my $s, 1, 1, 0); connect($s, pack("S a*", 1, $ARGV[0])); select($s);
        $| = 1; print "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        print STDOUT <$s>;"#;
    let as_user = |uid: u32| {
        let perl = std::process::Command::new("perl")
            .args(["-e", script])
            .arg(local.path())
            .uid(uid)
            .output();
        String::from_utf8(perl.unwrap().stdout).unwrap()
    };
    assert!(as_user(0).contains("200 OK"));
    assert_eq!(as_user(65534), "");
}
