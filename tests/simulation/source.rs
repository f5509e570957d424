//! The issuer of a world's sessions, as each process reaches it: well, or as the weather has it.

use std::{future::pending, time::Duration};

use rolekeeper::{
    Credentials, Failure, Issued, Source, WallTime,
    sources::{Fetch, KeyOf},
};
use rolekeeper_core::Elapsed;
use tokio::time::sleep;

use crate::{
    machine::{EPOCH, SECOND, nanos},
    plan::{Spell, Weather},
    store,
    world::{Issue, Who},
};

/// What the issuer's every secret holds: it must never be seen.
const SECRET: &str = "wJalrSIMULATED";

/// After so many calls somebody is caught in a loop, in which time does not go on.
const ENOUGH: u64 = 20_000;

#[derive(Debug)]
pub(crate) struct Sts(pub(crate) Who);

/// Counts itself among the calls under way while it lives.
struct Call<'a> {
    who: &'a Who,
    /// When it was asked for.
    truth: i64,
}

impl Source for Sts {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.call())
    }

    fn name(&self) -> String {
        format!("arn:aws:iam::123456789012:role/{}", self.0.role)
    }

    fn account(&self) -> Option<String> {
        Some("123456789012".into())
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(Some(store::key_of(self.0.role)))))
    }
}

// === impl Sts ===

impl Sts {
    async fn call(&self) -> Result<Issued, Failure> {
        let who = &self.0;
        let call = Call::begin(who);
        let weather = self.weather();
        // How long a question and an answer are under way.
        let (there, back) = {
            let mut state = who.world.state();
            let usual = if state.dice.percent(90) { 150 } else { 3000 };
            let most = if weather == Some(Weather::Slow) { 8000 } else { usual };
            (state.dice.millis(0, most), state.dice.millis(0, most))
        };
        if who.world.state().calls(who.process, who.role).number > ENOUGH {
            return pending().await;
        }
        who.may_be_ambushed();
        pause(there).await;
        let answer = self.answer(&call);
        match answer {
            Some(answer) => {
                let answered = who.truth();
                pause(back).await;
                call.answered(answered, &answer);
                answer
            }
            None => pending().await,
        }
    }

    fn weather(&self) -> Option<Weather> {
        Spell::at(&self.0.world.plan.roles[self.0.role].spells, self.0.truth())
    }

    /// What the issuer says now; `None`: nothing, ever.
    fn answer(&self, call: &Call<'_>) -> Option<Result<Issued, Failure>> {
        let who = &self.0;
        let truth = who.truth();
        let mut state = who.world.state();
        let issuer_now = EPOCH + truth + who.world.plan.issuer_ahead;
        // Whole seconds, as AWS tells them.
        let date = WallTime::from_unix_secs(issuer_now.div_euclid(SECOND));
        let dated = state.dice.percent(30);
        let mut fails = |what: &'static str, failure: Failure| {
            state.tally.add(what);
            state.say(truth, who.process, format_args!("the source fails: {failure}"));
            Some(Err(if dated { failure.with_issuer_now(date) } else { failure }))
        };
        let life = who.world.plan.roles[who.role].life;
        let (life, secret) = match self.weather() {
            None => (life, SECRET),
            Some(Weather::Slow) => {
                state.tally.add("calls to a slow source");
                (life, SECRET)
            }
            Some(Weather::Hangs) => {
                state.tally.add("calls without an answer");
                return None;
            }
            Some(Weather::Down) => {
                return fails("calls in an outage", Failure::unavailable("connection refused"));
            }
            Some(Weather::Throttled(after)) => {
                let failure = Failure::unavailable("rate exceeded").with_code("Throttling");
                let failure = match after {
                    Some(after) => failure.with_retry_after(Duration::from_secs(after)),
                    None => failure,
                };
                return fails("calls that were throttled", failure);
            }
            Some(Weather::Denied) => {
                let failure = Failure::denied("not authorized").with_code("AccessDenied");
                return fails("calls that were denied", failure);
            }
            Some(Weather::NeedsPerson) => {
                return fails(
                    "calls that need a person",
                    Failure::needs_person("a code is wanted"),
                );
            }
            Some(Weather::Misconfigured) => {
                return fails("calls of a wrong setting", Failure::misconfigured("no such role"));
            }
            Some(Weather::Garbage) => {
                return fails("bad answers: garbage", Failure::bad_answer("not XML"));
            }
            Some(Weather::ExpiredOnArrival) => {
                state.tally.add("bad answers: expired on arrival");
                (Duration::ZERO, SECRET)
            }
            Some(Weather::NoKey) => {
                state.tally.add("bad answers: no secret key");
                (life, "")
            }
        };
        let number = state.sessions.len();
        let expiration = date.after(life);
        let ends = expiration.as_unix_nanos() - EPOCH - who.world.plan.issuer_ahead;
        let times = (call.truth, truth, truth);
        let (asked, issued, arrived) = times;
        state.sessions.push(Issue { ends, asked, issued, arrived, saving: 0 });
        let what = format_args!("ASIA{number} is issued to role {}", who.role);
        state.say(truth, who.process, what);
        let token = format!("{SECRET}/{number}");
        let credentials = Credentials::new(format!("ASIA{number}"), secret, token);
        Some(Ok(Issued::new(credentials, expiration).with_issued_at(date)))
    }
}

/// With nothing to wait for, without a timer.
pub(crate) async fn pause(span: Duration) {
    if !span.is_zero() {
        sleep(span).await;
    }
}

// === impl Call ===

impl<'a> Call<'a> {
    fn begin(who: &'a Who) -> Self {
        let (truth, now) = (who.truth(), who.host.now().elapsed);
        let is_on_demand = who.is_on_demand();
        let mut state = who.world.state();
        state.tally.add("source calls");
        state.say(truth, who.process, format_args!("asks the source for role {}", who.role));
        if let Some(wrong) = state.calls(who.process, who.role).begin(now, is_on_demand) {
            state.broke(truth, who.process, format_args!("role {}: {wrong}", who.role));
        }
        if let Some(other) = store::another_has_the_lease(&mut state, who, truth) {
            let what = format_args!("asks for role {}, and {other} has the lease", who.role);
            state.broke(truth, who.process, what);
        }
        Self { who, truth }
    }

    /// The answer has come.
    fn answered(&self, issued: i64, answer: &Result<Issued, Failure>) {
        let who = self.who;
        let arrived = who.truth();
        let mut state = who.world.state();
        if let Ok(session) = answer
            && let Some(issue) = state.issue(&session.credentials.access_key_id)
        {
            issue.arrived = arrived;
        }
        // An answer that took longer than any may counts from when it was asked for.
        let limit = nanos(who.world.plan.processes[who.place].policy.attempt_timeout());
        if arrived - self.truth <= limit {
            let calls = state.calls(who.process, who.role);
            calls.transit = calls.transit.max(arrived - issued);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let now: Elapsed = self.who.host.now().elapsed;
        self.who.world.state().calls(self.who.process, self.who.role).end(now);
    }
}
