//! No secret is ever seen: not by `{:?}`, not in an error, not in the log at its most talkative.

use std::{fmt, time::Duration};

use rolekeeper::{Clock, Keyring, RefreshPolicy, adapters::IdentityCache, clock::Simulated};

use crate::{
    log::Log,
    support::{Answer, HOUR, MINUTE, SECRET, Script, alone, denied, down, pass, settle},
};

#[track_caller]
fn assert_discreet(what: impl fmt::Debug) {
    for told in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[test]
fn no_secret_is_seen_in_any_state() {
    alone("secrets::child_any_state");
}

#[tokio::test(start_paused = true)]
#[ignore = "run in a process of its own by the test above"]
async fn child_any_state() {
    let (log, _logging) = Log::collect();
    for policy in [
        RefreshPolicy::default().with_idle_after(3 * HOUR),
        RefreshPolicy::on_demand(),
        RefreshPolicy::sdk_standard(),
    ] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        script.takes(Duration::from_millis(10));
        let credentials = script.kept_by(policy);
        let mut events = credentials.events();
        assert_discreet((&credentials, credentials.status()));
        let current = credentials.get().await.unwrap();
        assert!(current.credentials().secret_access_key.expose().contains(SECRET));
        assert_discreet((&current, current.share(), &credentials, credentials.status()));
        assert_discreet(credentials.current());

        credentials.rejected("ASIA0001");
        assert_discreet((&credentials, credentials.status()));
        settle().await;
        for then in [
            Answer::Fails(down()),
            Answer::Fails(denied()),
            Answer::EndsAt(clock.now().wall),
            Answer::Panics,
            Answer::Hangs,
            Answer::Session(HOUR),
        ] {
            script.answers(then);
            let refreshed = credentials.refresh_now().await;
            if let Err(error) = &refreshed {
                assert!(!error.to_string().contains(SECRET));
            }
            assert_discreet((refreshed, credentials.get().await, credentials.status()));
        }
        script.answers(Answer::Fails(down()));
        pass(2 * HOUR).await;
        assert_discreet((credentials.get().await, &credentials, credentials.status()));
        pass(24 * HOUR).await;
        credentials.shutdown();
        assert_discreet((credentials.get().await, &credentials, credentials.status()));
        while let Ok(event) = events.try_recv() {
            assert_discreet(event);
        }
    }
    let text = log.text();
    for told in ["fetched a session", "a fetch failed", "rejected", "ended", "let an idle"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_seen_in_what_holds_many() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let ring = Keyring::new().with_clock(Clock::Simulated(clock.clone()));
    let role = ring.get_or_insert("demo", || script.source());
    role.get().await.unwrap();
    pass(MINUTE).await;
    assert_discreet((&ring, ring.all(), IdentityCache::new()));
}
