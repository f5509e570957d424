//! What holds secrets prints none.

use std::{fmt, sync::Arc, time::Duration};

use rolekeeper_core::{
    Credentials, Failure, Issued, Lifecycle, Moment, RefreshPolicy, Secret, Session, WallTime,
};

const SECRETS: [&str; 2] = ["wJalrXUtnFEMI-secret", "FwoGZXIvYXdzE-token"];

fn issued() -> Issued {
    Issued::new(
        Credentials::new("ASIAKEYID", SECRETS[0], SECRETS[1]),
        WallTime::from_unix_secs(3600),
    )
    .with_account_id("123456789012")
    .with_assumed_role_arn("arn:aws:sts::123456789012:assumed-role/app/me")
}

#[track_caller]
fn prints_none(what: &str, value: &impl fmt::Debug) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        for secret in SECRETS {
            assert!(!printed.contains(secret), "{what} shows a secret: {printed}");
        }
    }
}

#[test]
fn nothing_that_holds_a_session_prints_its_secrets() {
    let now = Moment::default();
    prints_none("Secret", &SECRETS.map(Secret::new));
    prints_none("Credentials", &issued().credentials);
    prints_none("Issued", &issued());
    let session = Arc::new(Session::place(issued(), now, 1));
    prints_none("Session", &session);

    for policy in
        [RefreshPolicy::default(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
    {
        let mut life = Lifecycle::new(policy, 1);
        assert!(life.adopt(now, Arc::clone(&session)));
        prints_none("Lifecycle", &life);
        prints_none("Offer", &life.offer(now).expect("an offer"));
        prints_none("Read", &life.read(now));
        life.rejected(now, "ASIAKEYID");
        life.wake(now);
        life.fetched(now, issued());
        life.failed(now, Failure::unavailable("rate exceeded"));
        let late = now.after(Duration::from_secs(7200));
        prints_none("Read", &life.read(late));
        life.wake(late);
        life.failed(late, Failure::denied("no").with_code("AccessDenied").with_hint("mend it"));
        let refusal = life.trouble(late).expect("a failure");
        prints_none("Refusal", &refusal);
        assert_eq!(refusal.failure.to_string(), "AccessDenied: no");
        let mut events = 0;
        while let Some(event) = life.next_event() {
            prints_none("Event", &event);
            events += 1;
        }
        assert!(events >= 4, "only {events} events were looked at");
        prints_none("Lifecycle", &life);
    }
}

#[test]
fn an_answer_that_is_no_session_is_reported_without_its_secrets() {
    let now = Moment::default();
    for broken in [
        Issued::new(Credentials::new("", SECRETS[0], SECRETS[1]), WallTime::from_unix_secs(3600)),
        Issued::new(Credentials::new("ASIAKEYID", "", SECRETS[1]), WallTime::from_unix_secs(3600)),
        Issued::new(
            Credentials::new("ASIAKEYID", SECRETS[0], SECRETS[1]),
            WallTime::from_unix_secs(0),
        ),
    ] {
        let mut life = Lifecycle::new(RefreshPolicy::default(), 1);
        life.wake(now);
        life.fetched(now, broken);
        let refusal = life.trouble(now).expect("a failure");
        prints_none("Failure", &refusal.failure);
        let printed = refusal.failure.to_string();
        assert!(SECRETS.iter().all(|secret| !printed.contains(secret)), "{printed}");
        prints_none("Lifecycle", &life);
    }
}
