//! `serve` on sockets that systemd has bound for it.

#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{ANY_PORT, Reply, Sts, home_with_profiles, invocation};

/// As systemd does: sockets from descriptor 3 on, and variables that tell of them. They come in as
/// what a program has anyway, and what it says goes where its errors go.
const SHELL: &str = "exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID=$$; exec \"$0\" \"$@\"";

#[test]
fn it_serves_on_the_sockets_that_are_handed_over_and_leaves_their_files() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let path = home.path().join("handed.sock");
    let local: OwnedFd = UnixListener::bind(&path).unwrap().into();
    let container = TcpListener::bind(ANY_PORT).unwrap();
    let address = container.local_addr().unwrap().to_string();

    let serve = invocation(&home, &sts, &["--profile", "a"]).into_command();
    let mut service = Command::new("sh")
        .args(["-c", SHELL])
        .arg(serve.get_program())
        .args(serve.get_args())
        .env_clear()
        .envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "local:container")])
        .current_dir(home.path())
        .stdin(Stdio::from(local))
        .stdout(Stdio::from(OwnedFd::from(container)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(service.stderr.take().unwrap());
    let (mut line, mut all) = (String::new(), String::new());
    while !line.contains("stop with Ctrl-C") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "{all}");
        all.push_str(&line);
    }

    let place = path.to_str().unwrap();
    let status = home.rolekeeper(["status", "--json", "--socket", place]).run().expect(0).json();
    assert_eq!(status["roles"][0]["name"], "a", "{all}");
    let reply = Reply::to(&address, "GET /role/a", &[("Host", &address)]);
    assert_eq!(reply.status, 401, "it is the container endpoint: {}", reply.body);

    let pid = Pid::from_child(&service);
    kill_process(pid, Signal::TERM).unwrap();
    // To its end, or it would be told that nobody listens any more.
    told.read_to_string(&mut all).unwrap();
    assert!(service.wait().unwrap().success(), "{all}");
    assert!(path.exists(), "it is systemd's");
}
