//! What an agent tells other commands of the same user: `status`, and `credential-process`.

use regex_lite::{Captures, Regex};
use rolekeeper_sandbox::Counts;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    ANY_PORT, Agent, Home, Ran, Sts, USER_SECRET, hidden, home_with_profiles, role, socket,
    wait_for,
};

const LONG: &str = "a-role-whose-name-is-far-too-long-for-a-table-of-80-columns";

/// One role that works, one that is refused, and one with a long name that is refused too.
fn good_and_bad() -> (Home, Sts, Agent) {
    let (home, sts) = (home_with_profiles(&["good"]), Sts::start());
    let denied = format!("role_arn = \"{}\"\nsource_profile = \"base\"\n", role("forbidden"));
    home.file(
        "agent.toml",
        &format!(
            "listen = \"{ANY_PORT}\"\n[role.good]\n[role.denied]\n{denied}[role.{LONG}]\n{denied}"
        ),
    );
    let agent = Agent::start(&home, &sts, &["--config", "agent.toml"]);
    // With a session held, no reader has to wait for it.
    let is_tried = |role: &Value| role["generation"] == 1 || !role["last_error"].is_null();
    wait_for("a try of each", || {
        json(&home).as_array().unwrap().iter().all(is_tried).then_some(())
    });
    for _ in 0..3 {
        agent.key_id("good");
    }
    (home, sts, agent)
}

/// The roles that it tells of.
#[track_caller]
fn json(home: &Home) -> Value {
    home.rolekeeper(["status", "--json"]).run().expect(0).json()["roles"].take()
}

/// Without what a clock or chance says, in the same columns.
fn table(ran: &Ran) -> String {
    let time = Regex::new(r" +\d+(h \d\dm|m \d\ds|s)\b").unwrap();
    let hide = |found: &Captures<'_>| format!("{:>1$}", "TIME", found[0].len());
    time.replace_all(&ran.transcript(), hide).into_owned()
}

#[test]
fn it_is_a_table_that_fits_80_columns_with_what_is_wrong_below_each_role() {
    let (home, _sts, agent) = good_and_bad();
    let ran = home.rolekeeper(["status"]).run().expect(0);
    assert_eq!(ran.stderr, "");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    insta::assert_snapshot!(table(&ran));
    agent.end(Signal::TERM);
}

#[test]
fn as_json_it_has_every_figure_and_no_secret() {
    let (home, _sts, agent) = good_and_bad();
    let ran = home.rolekeeper(["status", "--json"]).run().expect(0);
    assert_eq!(ran.json()["pid"], agent.pid());
    assert!(!ran.stdout.contains(&agent.token("good")), "it shows a token");
    let mut told = ran.json();
    told["pid"] = "PID".into();
    for role in told["roles"].as_array_mut().unwrap() {
        let left = role["remaining_seconds"].as_u64().unwrap();
        assert_eq!(left > 0, role["name"] == "good", "{role}");
        assert!(left <= role["lifetime_seconds"].as_u64().unwrap_or(0));
        for changing in ["remaining_seconds", "lifetime_seconds", "next_refresh_seconds"] {
            if role[changing].as_u64().is_some_and(|number| number > 0) {
                role[changing] = "NUMBER".into();
            }
        }
    }
    insta::assert_snapshot!(hidden(&serde_json::to_string_pretty(&told).unwrap()));
}

#[test]
fn without_an_agent_it_says_how_to_start_one_and_ends_with_69() {
    let home = home_with_profiles(&["a"]);
    let ran = home.rolekeeper(["status"]).run().expect(69);
    assert_eq!(ran.stdout, "");
    insta::assert_snapshot!(ran.transcript());
    // Nor is one that has died taken for one that runs.
    let sts = Sts::start();
    Agent::start(&home, &sts, &["--profile", "a", "--listen", ANY_PORT]).kill();
    assert!(socket(&home).exists());
    let after = home.rolekeeper(["status", "--json"]).run().expect(69);
    assert_eq!((after.stdout, after.stderr), (ran.stdout, ran.stderr));
}

#[test]
fn an_agent_elsewhere_is_found_by_option_and_by_variable() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let path = home.path().join("run/here.sock");
    let path = path.to_str().unwrap();
    let words = ["--profile", "a", "--listen", ANY_PORT, "--socket", path];
    let agent = Agent::start(&home, &sts, &words);
    home.rolekeeper(["status"]).run().expect(69);
    home.rolekeeper(["status", "--socket", path]).run().expect(0);
    let by_variable = home.rolekeeper(["status", "--json"]).env("ROLEKEEPER_SOCKET", path);
    assert_eq!(by_variable.run().expect(0).json()["pid"], agent.pid());
}

// === credential-process ===

/// The key id of the session that it prints, without those that other commands have left.
#[track_caller]
fn printed(home: &Home, sts: &Sts, words: &[&str]) -> String {
    let words = [&["credential-process"], words].concat();
    let alone = home.rolekeeper(words).at_endpoint(sts).env("ROLEKEEPER_STORE", "none");
    let ran = alone.that_shows_secrets().run().expect(0);
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.contains(USER_SECRET));
    let document = ran.json();
    assert_eq!(document["Version"], 1);
    document["AccessKeyId"].as_str().unwrap().to_owned()
}

fn calls(counts: &Counts) -> u64 {
    counts.calls("AssumeRole")
}

#[test]
fn credential_process_prints_the_session_of_an_agent_that_runs_and_calls_nobody() {
    let (home, sts) = (home_with_profiles(&["a", "b"]), Sts::start());
    let agent = Agent::start(&home, &sts, &["--profile", "a", "--listen", ANY_PORT]);
    let key = agent.key_id("a");
    for _ in 0..5 {
        assert_eq!(printed(&home, &sts, &["--profile", "a"]), key);
    }
    assert_eq!(calls(&sts.counts()), 1, "one call in all");
    // What the agent doesn't serve is fetched, and so is what it is not to be asked for.
    for (already, words) in (1..).zip([
        &["--profile", "b"][..],
        &["--profile", "a", "--no-agent"],
        &["--profile", "a", "--region", "eu-west-1"],
    ]) {
        assert_ne!(printed(&home, &sts, words), key);
        assert_eq!(calls(&sts.counts()), already + 1);
    }
}

#[test]
fn credential_process_goes_by_itself_where_no_agent_answers() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    printed(&home, &sts, &["--profile", "a"]);
    assert_eq!(calls(&sts.counts()), 1);
    // A stale socket is no agent.
    let agent = Agent::start(&home, &sts, &["--profile", "a", "--listen", ANY_PORT]);
    let key = agent.key_id("a");
    agent.kill();
    assert!(socket(&home).exists());
    assert_ne!(printed(&home, &sts, &["--profile", "a"]), key);
    assert_eq!(calls(&sts.counts()), 3);
}

#[test]
fn credential_process_tells_why_an_agent_has_no_session_as_if_it_had_asked_itself() {
    let home = home_with_profiles(&[]).with_config(&format!(
        "[profile denied]\nrole_arn = {}\nsource_profile = base\n",
        role("forbidden")
    ));
    let sts = Sts::start();
    let run = || {
        let words = ["credential-process", "--profile", "denied"];
        home.rolekeeper(words).at_endpoint(&sts).run().expect(68)
    };
    let by_itself = run();
    let agent = Agent::start(&home, &sts, &["--profile", "denied", "--listen", ANY_PORT]);
    wait_for("the refusal", || (!json(&home)[0]["last_error"].is_null()).then_some(()));
    let by_agent = run();
    assert_eq!((by_agent.stdout, by_agent.stderr), (by_itself.stdout, by_itself.stderr));
    drop(agent);
}
