//! Hosts that share a session through a Redis: each host is a home of its own.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use crate::support::{
    ANY_PORT, Agent, Home, Invocation, Sts, home_with_profiles, invocation, role, wait_for,
};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const PASSWORD: &str = "open-sesame-of-the-fleet";

/// It ends with the test.
struct Redis {
    server: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Command::new("redis-server");
        server.current_dir(folder.path()).stdout(Stdio::null());
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let server = server.args(["--requirepass", password]).spawn().expect("redis-server");
        let redis = Self { server, port, _folder: folder };
        let address = (Ipv4Addr::LOCALHOST, port);
        wait_for("a Redis", || std::net::TcpStream::connect(address).ok());
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn process(host: &Home, sts: &Sts, store: &str) -> Invocation {
    let words = ["credential-process", "--role-arn", &role("demo")];
    let process = host.rolekeeper(words).at(sts).that_shows_secrets();
    process.env("ROLEKEEPER_STORE", store).env("ROLEKEEPER_STORE_KEY", KEY)
}

#[test]
#[ignore = "needs redis-server: `cargo xtask test Redis`"]
fn redis_hosts_share_one_session() {
    let (redis, sts) = (Redis::start(PASSWORD), Sts::start());
    let hosts = [Home::new(), Home::new()];
    let store = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port);
    let [one, other] = hosts.each_ref().map(|host| process(host, &sts, &store).run());
    let [one, other] = [one.expect(0), other.expect(0)];
    assert_eq!(one.stderr, "");
    // Not the whole documents: their ends are as each host's clock has them, to a second.
    assert_eq!(one.json()["SessionToken"], other.json()["SessionToken"]);
    assert_eq!(sts.counts().ok("AssumeRole"), 1);
}

#[test]
#[ignore = "needs redis-server: `cargo xtask test Redis`"]
fn redis_agents_share_one_session_as_their_configuration_says() {
    let (redis, sts) = (Redis::start(""), Sts::start());
    let hosts = [home_with_profiles(&[]), home_with_profiles(&[])];
    let key_ids = hosts.each_ref().map(|host| {
        let key = host.file("fleet.key", KEY);
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let file = format!(
            "listen = \"{ANY_PORT}\"\nstore = \"redis://127.0.0.1:{}\"\nstore_key_file = {key:?}\n\
             [role.etl]\nrole_arn = \"{}\"\nsource_profile = \"base\"\n",
            redis.port,
            role("demo"),
        );
        host.file("agent.toml", &file);
        let check = invocation(host, &sts, &["--config", "agent.toml", "--check"]).run().expect(0);
        let store = format!("store      redis://127.0.0.1:{}", redis.port);
        assert!(check.stdout.contains(&store), "{}", check.stdout);
        Agent::of(host, invocation(host, &sts, &["--config", "agent.toml"])).key_id("etl")
    });
    assert_eq!(key_ids[0], key_ids[1]);
    assert_eq!(sts.counts().ok("AssumeRole"), 1);
}

#[test]
fn a_host_goes_on_alone_when_its_redis_is_not_there() {
    let (host, sts) = (Home::new(), Sts::start());
    let store = format!("redis://:{PASSWORD}@127.0.0.1:{}", free_port());
    let ran = process(&host, &sts, &store).run().expect(0);
    assert!(ran.json()["AccessKeyId"].is_string());
    let told = ran.stderr.matches("cannot share sessions: going on alone").count();
    assert_eq!(told, 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains(PASSWORD) && !ran.stderr.contains(KEY), "{}", ran.stderr);
}
