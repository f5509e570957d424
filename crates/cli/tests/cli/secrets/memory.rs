//! The agent's memory, as a core image would hold it: of all sessions that were ever fetched, it has
//! the ones that it serves.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

use rustix::process::Signal;

use super::{
    Known, Tap,
    agent::{LIFETIME, wait_for_session},
    talkative,
};
use crate::support::{ANY_PORT, Agent, Home, Sts, home_with_profiles, invocation, wait_for};

/// Sessions that are replaced before anybody looks.
const REFRESHES: usize = 3;

/// All that can be written to: code and constants were there before any secret.
fn image(pid: u32) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut parts = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut part = vec![0; usize::try_from(end - begin).unwrap()];
        memory.seek(SeekFrom::Start(begin)).unwrap();
        // What the kernel keeps to itself can't be read, nor what was let go of in the meantime.
        if memory.read_exact(&mut part).is_ok() {
            parts.push(part);
        }
    }
    parts
}

fn places(image: &[Vec<u8>], secrets: &Known) -> usize {
    image.iter().map(|part| secrets.found_plain_in(part).len()).sum()
}

/// The session that a role serves.
#[track_caller]
fn served(agent: &Agent, role: &str) -> Known {
    let reply = agent.get(role);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let session = reply.json();
    let of = |name: &str| session[name].as_str().unwrap().to_owned();
    Known::default()
        .and("a session's secret key", &of("SecretAccessKey"))
        .and("a session token", &of("Token"))
}

/// Nothing but `now` is in memory of all that STS has issued. A fetch may be under way, whose session
/// is `now` soon, so it is looked at until it is so; a copy that stays is found each time.
#[track_caller]
fn assert_has_only(agent: &Agent, tap: &Tap, roles: &[&str]) {
    let mut left = Vec::new();
    for _ in 0..20 {
        let now: Vec<Known> = roles.iter().map(|role| served(agent, role)).collect();
        let image = image(agent.pid());
        // Issued since: it may be there or not.
        if roles.iter().zip(&now).any(|(role, now)| served(agent, role) != *now) {
            continue;
        }
        for now in &now {
            assert!(places(&image, now) > 0, "that of now is there, or nothing was read");
        }
        let others = tap.known(&Known::default()).without(&now);
        left = image.iter().flat_map(|part| others.found_plain_in(part)).collect();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("in memory is what was replaced: {left:?}");
}

fn home_with_configuration(roles: &[&str]) -> Home {
    let home = home_with_profiles(&["etl", "audit"]);
    configure(&home, roles);
    home
}

fn configure(home: &Home, roles: &[&str]) {
    let roles: String = roles.iter().map(|role| format!("[role.{role}]\n")).collect();
    home.file("agent.toml", &format!("listen = \"{ANY_PORT}\"\n{roles}"));
}

#[test]
#[ignore = "needs root, since an agent's memory is shut: `cargo xtask test disks`"]
fn in_memory_is_no_session_that_was_replaced_or_let_go() {
    let (home, sts) = (home_with_configuration(&["etl", "audit"]), Sts::short_lived(LIFETIME));
    let tap = Tap::before(&sts);
    let command = invocation(&home, &sts, &["-vv", "--config", "agent.toml"]);
    let mut agent = Agent::of(&home, tap.under(talkative(command)));
    wait_for_session(&agent, "etl");
    wait_for_session(&agent, "audit");
    let refreshed = |role: &str| {
        let before = agent.key_id(role);
        wait_for("the next session", || (agent.key_id(role) != before).then_some(()));
    };
    for _ in 0..REFRESHES {
        refreshed("etl");
        refreshed("audit");
        assert_has_only(&agent, &tap, &["etl", "audit"]);
    }
    let gone = served(&agent, "audit");
    configure(&home, &["etl"]);
    agent.reload("read the configuration again");
    assert_has_only(&agent, &tap, &["etl"]);
    assert_eq!(places(&image(agent.pid()), &gone), 0, "of a role that was let go");
    agent.end(Signal::TERM);
}
