//! The store that a world's processes share, as each of them reaches it: at a distance, and at times
//! failing, slow, or with its answers lost. What it does is [`Slot`]'s, by the true time.

use std::{future::pending, time::Duration};

use rolekeeper::{
    Failure, Issued, Moment,
    stores::{Answer, SessionStore, StoreError, StoreKey, Stored},
};
use rolekeeper_core::{Elapsed, Fence, Lease, Sharing, Slot};

use crate::{
    calls::ERRAND,
    machine::nanos,
    plan::{Spell, StorePlan, StoreWeather},
    source::pause,
    world::{Granted, State, Who},
};

/// One process' way to it. The role is whichever it is asked for.
#[derive(Debug)]
pub(crate) struct Store(pub(crate) Who);

/// How often it is worth a look, and how long a call may take.
const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_millis(500);

impl Store {
    fn plan(&self) -> Option<&StorePlan> {
        self.0.world.plan.store.as_ref()
    }

    fn latency(&self, weather: Option<StoreWeather>) -> Duration {
        let latency = self.plan().map_or(0, |plan| plan.latency);
        let most = if weather == Some(StoreWeather::Slow) { 400 } else { latency };
        if most == 0 { Duration::ZERO } else { self.0.world.state().dice.millis(0, most) }
    }

    /// One call: the way there, what is done, and the way back.
    async fn call<T>(&self, does: impl FnOnce(&mut State, i64) -> T) -> Result<T, StoreError> {
        let weather = self.plan().and_then(|plan| Spell::at(&plan.spells, self.0.truth()));
        let (there, back) = (self.latency(weather), self.latency(weather));
        let told = match weather {
            None => None,
            Some(StoreWeather::Fails) => Some("store calls that failed"),
            Some(StoreWeather::Hangs) => Some("store calls without an answer"),
            Some(StoreWeather::Slow) => Some("store calls that were slow"),
            Some(StoreWeather::LosesAnswers) => Some("store calls whose answer was lost"),
        };
        if let Some(told) = told {
            let truth = self.0.truth();
            let mut state = self.0.world.state();
            state.tally.add(told);
            state.troubles.insert(self.0.process, truth);
        }
        self.0.may_be_ambushed();
        pause(there).await;
        if weather == Some(StoreWeather::Fails) {
            return Err(StoreError::new("connection refused"));
        }
        if weather == Some(StoreWeather::Hangs) || !self.0.host.is_alive() {
            return pending().await;
        }
        let result = {
            let truth = self.0.truth();
            does(&mut self.0.world.state(), truth)
        };
        pause(back).await;
        if weather == Some(StoreWeather::LosesAnswers) {
            return pending().await;
        }
        Ok(result)
    }
}

/// Under which a role's session is kept.
pub(crate) fn key_of(role: usize) -> StoreKey {
    StoreKey::of("simulated").with("role", role.to_string()).build()
}

/// A fence as the store's slots count it; `None` if the store has forgotten it.
fn known(state: &State, fence: Fence) -> Option<Fence> {
    fence.0.checked_sub(state.fences_from).filter(|fence| *fence > 0).map(Fence)
}

/// What there was of a lease that ends now.
fn end(state: &mut State, key: &StoreKey, fence: Fence, truth: i64) -> Granted {
    let Some(lease) = state.leases.get_mut(&(*key, fence)) else { return Granted::default() };
    let was = *lease;
    lease.to = lease.to.min(truth);
    was
}

/// Whose lease on asking the source for this role goes on, if another than this process has it and
/// has known of no trouble with the store, which has forgotten nobody's: then nobody else asks.
pub(crate) fn another_has_the_lease(state: &mut State, who: &Who, truth: i64) -> Option<usize> {
    let key = key_of(who.role);
    let fence = *state.last_leases.get(&key)?;
    let lease = *state.leases.get(&(key, fence))?;
    let had_trouble = state.troubles.get(&who.process).is_some_and(|at| truth - at < ERRAND);
    let has_forgotten = state.forgot_at.is_some_and(|at| truth - at < ERRAND);
    let was_held_up = state.calls(who.process, who.role).held_up(truth).is_some();
    let is_anothers = lease.process != who.process && truth < lease.to;
    (is_anothers && !had_trouble && !has_forgotten && !was_held_up).then_some(lease.process)
}

fn slot<'a>(state: &'a mut State, key: &StoreKey) -> &'a mut Slot {
    state.slots.entry(*key).or_default()
}

impl SessionStore for Store {
    fn name(&self) -> String {
        "simulated".to_owned()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        Box::pin(async move {
            let begun = self.0.truth();
            let found = self.call(move |state, truth| {
                let found = slot(state, key).load(Elapsed::from_nanos(truth));
                found.map(|(issued, age)| Stored { issued: issued.clone(), age })
            });
            let found = found.await;
            let took = self.0.truth() - begun;
            self.0.world.state().loads.insert((self.0.process, *key), took);
            found
        })
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        Box::pin(self.call(move |state, truth| {
            let lease = match slot(state, key).lease(Elapsed::from_nanos(truth), limit) {
                Lease::Granted(Fence(fence)) => Lease::Granted(Fence(state.fences_from + fence)),
                other => other,
            };
            if let Lease::Granted(fence) = lease {
                let (to, process) = (truth + nanos(limit), self.0.process);
                state.leases.insert((*key, fence), Granted { from: truth, to, process });
                state.last_leases.insert(*key, fence);
            }
            state.tally.add(match lease {
                Lease::Granted(_) => "leases granted",
                Lease::Taken { .. } => "leases that another had",
                Lease::Cooling { .. } => "failures told by the store",
            });
            state.say(truth, self.0.process, format_args!("lease: {lease:?}"));
            lease
        }))
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        Box::pin(self.call(move |state, truth| {
            let at = Elapsed::from_nanos(truth);
            let known = known(state, fence);
            let is_renewed = known.is_some_and(|fence| slot(state, key).renew(at, fence, limit));
            state.tally.add(if is_renewed { "leases renewed" } else { "leases lost" });
            if let Some(lease) = state.leases.get_mut(&(*key, fence)).filter(|_| is_renewed) {
                lease.to = truth + nanos(limit);
            }
            is_renewed
        }))
    }

    /// When the session came, as of how long ago that is by the clocks of whoever saves it. Where it
    /// is on its way to the store for longer than its lease goes on, nobody knows any more: then it
    /// counts from when the lease was granted, as in Redis.
    fn save<'a>(&'a self, id: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        let now = self.0.host.now();
        let by_both =
            |then: &Moment| now.elapsed.since(then.elapsed).max(now.wall.since(then.wall));
        let age = issued.arrived.as_deref().map_or(Duration::ZERO, by_both);
        let begun = self.0.truth();
        Box::pin(self.call(move |state, truth| {
            let at = Elapsed::from_nanos(truth);
            let lease = end(state, id, fence, truth);
            let arrived = at.before(age);
            let is_over = truth >= lease.to;
            let granted = Elapsed::from_nanos(lease.from);
            let arrived = if is_over { arrived.min(granted) } else { arrived };
            let counts_from = arrived.as_nanos();
            let arrived = Moment { elapsed: arrived, ..Moment::default() };
            let dated = issued.clone().with_arrived(arrived);
            let known = known(state, fence);
            let is_saved = known.is_some_and(|fence| slot(state, id).save(at, fence, dated));
            state.tally.add(if is_saved { "sessions saved" } else { "saves of a lost lease" });
            let saved = if is_saved { "saved" } else { "not saved: the lease is another's" };
            let key = &issued.credentials.access_key_id;
            state.say(truth, self.0.process, format_args!("{key} is {saved}"));
            if let Some(issue) = state.issue(key) {
                // It may count as older than it is, by a clock that was set forward meanwhile.
                issue.saving = (truth - begun).max(issue.arrived - counts_from);
            }
            is_saved
        }))
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(self.call(move |state, truth| {
            end(state, key, fence, truth);
            let (at, failure) = (Elapsed::from_nanos(truth), failure.clone());
            let known = known(state, fence);
            known.is_some_and(|fence| slot(state, key).cool(at, fence, failure, pause))
        }))
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        // Who was killed says nothing any more.
        if self.0.host.is_alive() {
            let truth = self.0.truth();
            let mut state = self.0.world.state();
            end(&mut state, key, fence, truth);
            if let Some(fence) = known(&state, fence) {
                slot(&mut state, key).release(fence);
            }
        }
    }

    fn poll(&self) -> Duration {
        POLL
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// By how much longer than it lives a session from a store may seem to live: how long it was on its way
/// into the store, for as long as its lease went on.
pub(crate) fn slack_of(saving: i64) -> i64 {
    saving.min(nanos(Sharing::LEASE))
}
