//! `kill -9` and a new start: it costs clients one retry.

use std::{net::TcpStream, os::unix::net::UnixStream};

use crate::support::{Agent, Home, Reply, Sts, home_with_profiles, on_free_ports, role, socket};

const TTL: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "21600");
const CREDENTIALS: &str = "GET /latest/meta-data/iam/security-credentials/etl";

fn home(container: u16, imds: u16) -> Home {
    let home = home_with_profiles(&[]);
    home.file(
        "agent.toml",
        &format!(
            "listen = \"127.0.0.1:{container}\"\n\
             [role.etl]\nrole_arn = \"{}\"\nsource_profile = \"base\"\n\
             [[imds]]\nlisten = \"127.0.0.1:{imds}\"\nrole = \"etl\"\n",
            role("demo")
        ),
    );
    home
}

/// `None` if a port is taken.
fn start(home: &Home, sts: &Sts) -> Option<Agent> {
    Agent::start_on_free_ports(home, sts, &["--config", "agent.toml"])
}

#[test]
fn after_kill_9_and_a_restart_a_client_reads_again_with_the_token_that_it_has() {
    let sts = Sts::start();
    on_free_ports(|[container, imds]| {
        let home = home(container, imds);
        let agent = start(&home, &sts)?;
        let (address, token) = (agent.address().to_owned(), agent.token("etl"));
        let before = agent.key_id("etl");
        // A client that keeps its connection finds it closed, as if nobody were there.
        let kept = TcpStream::connect(&address).unwrap();
        agent.kill();
        assert_eq!(Reply::read(kept).status, 0);
        let left = socket(&home);
        assert!(left.exists() && UnixStream::connect(&left).is_err(), "a stale socket is left");

        let agent = start(&home, &sts)?;
        assert_eq!(agent.address(), address);
        assert_eq!(agent.token("etl"), token);
        let reply = agent.get_with("etl", &token);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_ne!(reply.json()["AccessKeyId"], before);
        home.rolekeeper(["status"]).run().expect(0);
        Some(())
    });
}

#[test]
fn after_kill_9_and_a_restart_a_token_of_imds_is_still_good() {
    let sts = Sts::start();
    on_free_ports(|[container, imds]| {
        let home = home(container, imds);
        let address = format!("127.0.0.1:{imds}");
        let read = |token: &str| {
            let headers = [("Host", address.as_str()), ("X-aws-ec2-metadata-token", token)];
            Reply::to(&address, CREDENTIALS, &headers)
        };
        let agent = start(&home, &sts)?;
        // Once there is a session, nobody waits for it here.
        agent.key_id("etl");
        let headers = [("Host", address.as_str()), TTL];
        let token = Reply::to(&address, "PUT /latest/api/token", &headers).body;
        assert_eq!(read(&token).status, 200);
        agent.kill();

        let agent = start(&home, &sts)?;
        let key = agent.key_id("etl");
        let reply = read(&token);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.json()["AccessKeyId"], key);
        let forged = format!("{}{}", &token[..16], "0".repeat(token.len() - 16));
        assert_eq!(read(&forged).status, 401);
        Some(())
    });
}
