//! Rules by user, group and program, against real sockets and the real kernel.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use rolekeeper_agent::{Depth, Face, Peer, Rule};

use crate::support::{Running, TOKEN, Tap, role};

fn me() -> (u32, u32) {
    let own = fs::metadata("/proc/self").unwrap();
    (own.uid(), own.gid())
}

fn status(rule: Rule) -> u16 {
    let tap = Tap::default();
    Running::serve(|| vec![role("etl", &tap, rule)], &[Face::Container]).get().status
}

#[test]
fn a_rule_by_user_lets_that_user_in_and_nobody_else() {
    let (uid, _) = me();
    let of = |uids| Rule { uids, ..Rule::default() };
    assert_eq!(status(of(vec![uid])), 200);
    assert_eq!(status(of(vec![uid + 1, uid])), 200);
    assert_eq!(status(of(vec![uid + 1])), 403);
    assert_eq!(status(Rule::this_user()), 200);
}

#[test]
fn a_rule_by_group_lets_its_members_in_and_nobody_else() {
    let (_, gid) = me();
    let of = |gids| Rule { gids, ..Rule::default() };
    assert_eq!(status(of(vec![gid])), 200);
    assert_eq!(status(of(vec![4_000_000_000])), 403);
}

#[test]
fn a_rule_by_program_lets_that_program_in_and_nobody_else() {
    let this = env::current_exe().unwrap().canonicalize().unwrap();
    let of = |path: PathBuf| Rule { executables: vec![path], ..Rule::default() };
    assert_eq!(status(of(this)), 200);
    assert_eq!(status(of("/bin/sh".into())), 403);
    assert_eq!(status(of("/nowhere".into())), 403);
}

#[test]
fn of_several_lists_each_must_be_met() {
    let (uid, _) = me();
    let other_group = Rule { uids: vec![uid], gids: vec![4_000_000_000], ..Rule::default() };
    assert_eq!(status(other_group), 403);
}

#[test]
#[ignore = "needs root, who can act as another user"]
fn a_client_of_another_user_is_refused_though_it_has_the_token() {
    let tap = Tap::default();
    let running = Running::serve(|| vec![role("etl", &tap, Rule::this_user())], &[Face::Container]);
    let port = running.address().port();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /role/etl HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\
         Authorization: {TOKEN}\\r\\nConnection: close\\r\\n\\r\\n' >&3; read -r line <&3; echo \"$line\""
    );
    let as_user = |uid: u32| {
        let run = Command::new("bash").args(["-c", &script]).uid(uid).output().unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    assert!(as_user(0).contains(" 200 "), "{}", as_user(0));
    assert!(as_user(65534).contains(" 403 "), "{}", as_user(65534));
}

#[test]
fn the_kernel_tells_whose_each_end_of_a_connection_is() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, remote) = listener.accept().unwrap();
        let local = server.local_addr().unwrap();
        let peer = Peer::of_tcp(local, remote, Depth::Uid).unwrap();
        assert_eq!(peer, Peer { uid: Some(me().0), ..Peer::default() });
        let peer = Peer::of_tcp(local, remote, Depth::Process).unwrap();
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.executable, env::current_exe().unwrap().canonicalize().ok());
        assert!(peer.gids.contains(&me().1));
        drop(client);
    }
}

#[test]
fn a_client_of_ipv4_at_a_socket_of_ipv6_is_found() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, remote) = listener.accept().unwrap();
    let peer = Peer::of_tcp(server.local_addr().unwrap(), remote, Depth::Uid).unwrap();
    assert_eq!(peer.uid, Some(me().0));
}

#[test]
fn of_a_client_that_has_gone_nothing_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, remote) = listener.accept().unwrap();
    let local = server.local_addr().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    assert_eq!(Peer::of_tcp(local, remote, Depth::Uid).unwrap().uid, Some(me().0), "half closed");
    drop(client);
    // Somebody else may have that port by now, as a listener: it is not the client.
    let _listener = TcpListener::bind(remote);
    assert!(Peer::of_tcp(local, remote, Depth::Uid).is_err());
    let _ = server.write_all(b"x");
}
