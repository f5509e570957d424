//! Sockets and news between a service manager and the agent. Each test starts this program again,
//! as systemd would: with sockets from descriptor 3 on, and variables that tell of them.

#![cfg(target_os = "linux")]

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rolekeeper_agent::{
    Face, Listener, Place, Plan,
    activation::{Inherited, Notifier},
    config::{Config, ImdsConfig},
};

/// Where the program that was started writes what it found.
const REPORT: &str = "TEST_REPORT";

/// The process id is that of the program, not of the shell's parent; its output is not a socket.
const SHELL: &str = "exec 3<&0 4<&1 0</dev/null 1>&2; \
    test \"$LISTEN_PID\" || export LISTEN_PID=$$; \
    exec \"$0\" activation::as_a_service --exact --ignored";

/// What is in here runs in the program that the other tests start.
#[test]
#[ignore = "the other tests run it"]
fn as_a_service() {
    let Some(report) = env::var_os(REPORT) else { return };
    fs::write(report, found()).unwrap();
    let notifier = Notifier::from_env();
    notifier.reloading();
    notifier.ready("serving 2 roles\nREADY=0");
    notifier.status("all is well");
    if let Some(interval) = notifier.watchdog_interval() {
        assert_eq!(interval, Duration::from_secs(15));
        notifier.alive();
    }
    notifier.stopping();
}

fn found() -> String {
    let mut inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(why) => return why,
    };
    if inherited.is_empty() {
        return "nothing".to_owned();
    }
    let mut config = Config::of_profiles(&["etl".to_owned()]).unwrap();
    inherited.adopt_into(&mut config);
    let address = |at| Place::Address(at);
    let mut plan = Plan::default();
    plan.listeners.push(Listener { at: address(config.container), face: Face::Container });
    plan.listeners
        .extend(config.operator.map(|at| Listener { at: address(at), face: Face::Operator }));
    for ImdsConfig { listen, role, v1 } in config.imds {
        let (region, key) = (None, None);
        plan.listeners
            .push(Listener { at: address(listen), face: Face::Imds { role, region, v1, key } });
    }
    let path = config.socket.clone().unwrap();
    plan.listeners.push(Listener { at: Place::Path(path), face: Face::Local });
    inherited.hand_over(&mut plan);
    let mut lines = Vec::new();
    for Listener { at, face } in plan.listeners {
        let address = match at {
            Place::Inherited(listener) => listener.local_addr().unwrap().to_string(),
            Place::InheritedUnix(listener) => {
                let address = listener.local_addr().unwrap();
                assert_eq!(config.socket.as_deref(), address.as_pathname());
                address.as_pathname().unwrap().display().to_string()
            }
            _ => continue,
        };
        let face = format!("{face:?}").to_lowercase();
        let (name, _) = face.split_once(' ').unwrap_or((&face, ""));
        lines.push(format!("{name} {address}"));
    }
    assert!(env::var_os("LISTEN_FDS").is_none(), "programs that we start are not told of them");
    lines.join("\n")
}

struct Service<'a> {
    sockets: Vec<OwnedFd>,
    variables: Vec<(&'a str, &'a str)>,
}

impl Service<'_> {
    /// What the program found.
    fn run(self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report");
        let count = self.sockets.len().to_string();
        let mut sockets = self.sockets.into_iter().map(Stdio::from);
        let mut next = || sockets.next().unwrap_or_else(Stdio::null);
        let output = Command::new("sh")
            .args(["-c", SHELL])
            .arg(env::current_exe().unwrap())
            .env(REPORT, &report)
            .env("LISTEN_FDS", count)
            .envs(self.variables)
            .stdin(next())
            .stdout(next())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        fs::read_to_string(report).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

fn with(sockets: Vec<OwnedFd>, names: &str) -> String {
    Service { sockets, variables: vec![("LISTEN_FDNAMES", names)] }.run()
}

fn tcp() -> (OwnedFd, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener.into(), address)
}

fn unix(folder: &Path) -> (OwnedFd, String) {
    let path = folder.join("agent.sock");
    (UnixListener::bind(&path).unwrap().into(), path.display().to_string())
}

#[test]
fn named_sockets_are_what_their_names_say() {
    let folder = tempfile::tempdir().unwrap();
    let ((one, first), (two, second)) = (unix(folder.path()), tcp());
    assert_eq!(
        with(vec![one, two], "local:container"),
        format!("container {second}\nlocal {first}")
    );

    let ((one, first), (two, second)) = (tcp(), tcp());
    let found = with(vec![one, two], "imds-etl:operator");
    assert_eq!(found, format!("operator {second}\nimds {first}"));
}

#[test]
fn sockets_without_names_are_told_by_their_kind() {
    for names in ["rolekeeper.socket:rolekeeper.socket", "unknown:unknown", ":"] {
        let folder = tempfile::tempdir().unwrap();
        let ((one, first), (two, second)) = (tcp(), unix(folder.path()));
        let found = with(vec![one, two], names);
        assert_eq!(found, format!("container {first}\nlocal {second}"), "{names}");
    }
}

#[test]
fn sockets_that_are_another_process_are_left_alone() {
    let (socket, _) = tcp();
    let variables = vec![("LISTEN_PID", "1"), ("LISTEN_FDNAMES", "container")];
    assert_eq!(Service { sockets: vec![socket], variables }.run(), "nothing");
    assert_eq!(
        Service { sockets: vec![], variables: vec![("LISTEN_FDS", "")] }.run(),
        "LISTEN_FDS is no number of sockets"
    );
}

#[test]
fn sockets_that_cannot_be_used_are_told_by_number_and_name() {
    let why = with(vec![tcp().0], "web");
    assert!(why.starts_with("socket 1 (`web`) of systemd's: known names"), "{why}");

    let why = with(vec![tcp().0, tcp().0], "a.socket:a.socket");
    assert!(why.starts_with("socket 2 (`a.socket`) of systemd's: there are two"), "{why}");

    let why = with(vec![tcp().0], "local");
    assert!(why.contains("no Unix socket"), "{why}");

    let folder = tempfile::tempdir().unwrap();
    let why = with(vec![unix(folder.path()).0], "container");
    assert!(why.contains("no TCP socket"), "{why}");

    let why = with(vec![tcp().0], "imds-my jobs");
    assert!(why.contains("`my jobs` is no name of a role"), "{why}");

    let why = with(vec![tcp().0], "container:operator");
    assert!(why.contains("LISTEN_FDS counts 1 sockets, LISTEN_FDNAMES 2"), "{why}");

    // As with Accept=yes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let why = with(vec![connection.into()], "container");
    assert!(why.contains("Accept= has to be no"), "{why}");
}

#[test]
fn the_service_manager_hears_how_we_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let variables = vec![("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")];
    Service { sockets: vec![], variables }.run();

    manager.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = manager.recv(&mut buffer) {
        heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    let reloading = heard.remove(0);
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(since.trim_end().parse::<u64>().unwrap() > 0);
    assert_eq!(
        heard,
        [
            "READY=1\nSTATUS=serving 2 roles READY=0\n",
            "STATUS=all is well\n",
            "WATCHDOG=1\n",
            "STOPPING=1\n"
        ]
    );
}
