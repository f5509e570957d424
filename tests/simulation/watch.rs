//! The watch over one role of one process: what it holds, whether that truly lives, and whether
//! readers get what they were promised.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rolekeeper::{Event, EventKind, FailureKind, RefreshableCredentials};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use crate::{
    calls::{ERRAND, Outcome},
    machine::{SECOND, nanos},
    store,
    world::{Issue, State, Who},
};

pub(crate) struct Watch {
    pub(crate) who: Who,
    pub(crate) credentials: RefreshableCredentials,
    seen: Mutex<Seen>,
}

struct Seen {
    events: Receiver<Event>,
    held: Option<Held>,
}

/// The session that came last.
#[derive(Clone, Debug)]
struct Held {
    key: String,
    issue: Issue,
    /// By how much longer than it lives it may seem to live: what its answer was under way.
    slack: i64,
    /// By how much earlier it may be taken for ended: an answer that took longer than any may is
    /// counted from when it was asked for.
    early: i64,
    /// The least that the wall clock has been ahead since: set forward from there, it ends sooner.
    wall_least: i64,
    is_rejected: bool,
}

/// The last second is not handed out, and `Date` is rounded down by up to another.
const LAST_SECONDS: i64 = 2 * SECOND;

impl Watch {
    pub(crate) fn new(who: Who, credentials: RefreshableCredentials) -> Self {
        let seen = Seen { events: credentials.events(), held: None };
        Self { who, credentials, seen: Mutex::new(seen) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what has happened by now.
    pub(crate) fn look(&self) {
        self.look_at(self.who.truth());
    }

    /// The same of what happened at `truth`, a moment ago.
    pub(crate) fn look_at(&self, truth: i64) {
        let mut seen = self.seen();
        let wall_ahead = self.who.host.wall_ahead();
        if let Some(held) = &mut seen.held {
            held.wall_least = held.wall_least.min(wall_ahead);
        }
        loop {
            match seen.events.try_recv() {
                Ok(event) => self.note(&mut seen, truth, &event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let who = &self.who;
        let mut state = who.world.state();
        if let Some(wrong) = state.calls(who.process, who.role).judge() {
            state.broke(truth, who.process, format_args!("role {}: {wrong}", who.role));
        }
    }

    /// From here on the next fetch may come ahead of its time.
    pub(crate) fn excuse(&self) {
        self.who.world.state().calls(self.who.process, self.who.role).excuse();
    }

    /// The machine has not run as it should since then.
    pub(crate) fn disturb(&self, since: i64) {
        let truth = self.who.truth();
        self.who.world.state().calls(self.who.process, self.who.role).disturb(since, truth);
    }

    fn note(&self, seen: &mut Seen, truth: i64, event: &Event) {
        let who = &self.who;
        let now = who.host.elapsed_at(truth);
        let mut state = who.world.state();
        match &event.kind {
            EventKind::Fetched { .. } | EventKind::Adopted { .. } => {
                drop(state);
                let status = self.credentials.status();
                state = who.world.state();
                // Another may have come since, in the same instant.
                let key = status.access_key_id.filter(|_| status.generation == event.generation);
                let Some(key) = key else { return };
                let is_own = matches!(event.kind, EventKind::Fetched { .. });
                self.hold(seen, &mut state, truth, key, is_own);
            }
            EventKind::Failed(refusal) => {
                let failure = &refusal.failure;
                let is_free = who.is_on_demand() && refusal.attempts == 1;
                let retry_after = failure.retry_after.unwrap_or_default();
                let (kind, next_try) = (failure.kind, refusal.next_try);
                let outcome = Outcome::Failure { kind, retry_after, next_try, is_free };
                state.calls(who.process, who.role).came_to(now, outcome);
                state.tally.add("attempts that failed");
                let what = format_args!("role {} fails: {failure}; next: {next_try:?}", who.role);
                state.say(truth, who.process, what);
                let usual = kind == FailureKind::Unavailable && refusal.attempts >= 6;
                if usual && seen.held.is_none() && retry_after.is_zero() && !who.is_on_demand() {
                    let wait = next_try.unwrap_or_default().as_millis();
                    state.tally.add("waits of a full backoff");
                    state.tally.add_many("milliseconds of full backoffs", wait as u64);
                }
            }
            EventKind::Rejected { access_key_id } => {
                state.tally.add("rejections");
                if let Some(wrong) = state.calls(who.process, who.role).was_rejected(now) {
                    state.broke(truth, who.process, format_args!("role {}: {wrong}", who.role));
                }
                if let Some(held) = seen.held.as_mut().filter(|held| held.key == *access_key_id) {
                    held.is_rejected = true;
                }
            }
            EventKind::Expired => {
                state.tally.add("sessions that ended with no newer one");
                state.calls(who.process, who.role).excuse();
                state.say(truth, who.process, format_args!("role {}: expired", who.role));
                drop(state);
                if let Some(held) = seen.held.as_ref().filter(|held| self.lives(held, truth)) {
                    who.broke(format_args!("{} is taken for ended, and lives", held.key));
                }
            }
            EventKind::LetGo => {
                state.tally.add("idle sessions let go");
                state.calls(who.process, who.role).excuse();
                seen.held = None;
            }
            _ => {}
        }
    }

    fn hold(&self, seen: &mut Seen, state: &mut State, truth: i64, key: String, is_own: bool) {
        let who = &self.who;
        let now = who.host.elapsed_at(truth);
        let Some(issue) = state.issue(&key).copied() else {
            state.broke(truth, who.process, format_args!("nobody has issued {key}"));
            return;
        };
        let disturbance = state.calls(who.process, who.role).held_up(truth);
        let loading = state.loads.get(&(who.process, store::key_of(who.role))).copied();
        let plan = &who.world.plan;
        let limit = nanos(plan.processes[who.place].policy.attempt_timeout());
        let arrived = if is_own { truth } else { issue.arrived };
        let took = arrived - issue.asked;
        let held_up = took > limit;
        let under_way = if held_up { 0 } else { arrived - issue.issued };
        let (slack, early) = match is_own {
            true => (under_way, if took > limit / 2 { took + ERRAND } else { 0 }),
            false => {
                let loading = loading.unwrap_or(0);
                (under_way + store::slack_of(issue.saving), took + issue.saving + loading + ERRAND)
            }
        };
        let life = plan.roles[who.role].life;
        state.tally.add(if is_own { "sessions fetched" } else { "sessions taken over" });
        let what = if is_own { "fetched" } else { "takes over" };
        state.say(truth, who.process, format_args!("role {}: {what} {key}", who.role));
        let calls = state.calls(who.process, who.role);
        if !is_own || disturbance.is_some() {
            calls.excuse();
        }
        let early = early.max(disturbance.unwrap_or(0));
        let asked = now.before(Duration::from_nanos((truth - issue.asked).max(0).unsigned_abs()));
        let is_on_demand = who.is_on_demand();
        calls.came_to(now, Outcome::Session { asked, life, is_on_demand });
        let wall_least = who.host.wall_ahead();
        if seen.held.as_ref().is_some_and(|old| old.key == key && old.is_rejected) {
            state.broke(truth, who.process, format_args!("{key} is taken again, and was refused"));
        }
        seen.held = Some(Held { key, issue, slack, early, wall_least, is_rejected: false });
    }

    /// By the truth, and by a wall clock that was not set forward: what a machine must know too.
    fn lives(&self, held: &Held, truth: i64) -> bool {
        self.left(held, truth) > 0
    }

    /// How long that will be so.
    fn left(&self, held: &Held, truth: i64) -> i64 {
        let forward = (self.who.host.wall_ahead() - held.wall_least).max(0);
        held.issue.ends - truth - LAST_SECONDS - held.early - forward
    }

    /// Whether a reader that comes now has to be served at once.
    pub(crate) fn must_serve(&self) -> bool {
        self.look();
        let truth = self.who.truth();
        let seen = self.seen();
        seen.held.as_ref().is_some_and(|held| self.lives(held, truth) && !held.is_rejected)
    }

    /// Of readers on demand: one of them refreshes in a session's second half, and waits for that.
    pub(crate) fn is_in_its_first_half(&self) -> bool {
        let truth = self.who.truth();
        let half = nanos(self.who.world.plan.roles[self.who.role].life) / 2;
        let seen = self.seen();
        seen.held.as_ref().is_some_and(|held| self.left(held, truth) > half)
    }

    /// When what is held truly ends.
    pub(crate) fn ends(&self) -> Option<i64> {
        self.seen().held.as_ref().map(|held| held.issue.ends)
    }

    /// A reader has been given this session: it lives.
    pub(crate) fn was_given(&self, key: &str) {
        self.look();
        let truth = self.who.truth();
        let held = self.seen().held.clone().filter(|held| held.key == key);
        let who = &self.who;
        let mut state = who.world.state();
        state.tally.add("reads that were served");
        let slack = held.map_or(0, |held| held.slack);
        let slack = slack.max(state.calls(who.process, who.role).transit);
        let dead_for = state.issue(key).map(|issue| truth - issue.ends);
        match dead_for {
            Some(dead_for) if dead_for < slack => {}
            Some(dead_for) => {
                let since = Duration::from_nanos(dead_for.unsigned_abs());
                let what = format_args!("{key} is handed out, dead since {since:?}");
                state.broke(truth, who.process, what);
            }
            None => {
                let what = format_args!("{key} is handed out, and nobody has issued it");
                state.broke(truth, who.process, what);
            }
        }
    }
}
