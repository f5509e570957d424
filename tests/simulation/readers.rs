//! Those who read, at random and at the worst of times, and what each was promised.

use std::{sync::Arc, time::Duration};

use rolekeeper::{Current, Error};
use tokio::time::{sleep, timeout};

use crate::{dice::Dice, machine::SECOND, watch::Watch};

/// Timers go by whole milliseconds, and whoever is woken reads once more.
const ROUNDING: Duration = Duration::from_millis(5);

/// Whatever is due now is done after it.
const INSTANT: Duration = Duration::from_millis(1);

/// In the calm at the end somebody asks this often, in seconds.
const OFTEN: i64 = 20;

/// Reads now and then, for as long as its process lives.
pub(crate) async fn reads(watches: Arc<[Watch]>, pause: i64, mut dice: Dice) {
    loop {
        let watch = dice.pick(&watches);
        sleep(next(watch, pause, &mut dice)).await;
        match dice.between(0, 20) {
            0..6 => glances(watch),
            6 => is_ready(watch).await,
            7..14 => gets(watch).await,
            14 => crowd(watch).await,
            15..17 => gives_up(watch, &mut dice).await,
            17 => is_patient(watch, &mut dice).await,
            18 => rejects(watch),
            // In the calm the next try is to come by itself.
            _ if is_calm(watch) => gets(watch).await,
            _ => has_refreshed(watch).await,
        }
    }
}

fn is_calm(watch: &Watch) -> bool {
    watch.who.truth() > watch.who.world.plan.calm
}

/// At some time, or within a second or two of a session's end.
fn next(watch: &Watch, pause: i64, dice: &mut Dice) -> Duration {
    let truth = watch.who.truth();
    let edge = watch.ends().map(|ends| ends - truth + dice.between(-2 * SECOND, 2 * SECOND));
    match edge.filter(|edge| *edge > 0 && *edge < 4 * pause * 1_000_000) {
        Some(edge) if dice.percent(25) => Duration::from_nanos(edge.unsigned_abs()),
        _ if is_calm(watch) => dice.secs(1, OFTEN),
        _ if dice.percent(15) => dice.millis(0, 300),
        _ => dice.millis(0, 2 * pause),
    }
}

fn told(watch: &Watch, result: Result<&Current, &Error>) {
    match result {
        Ok(session) => watch.was_given(session.access_key_id()),
        Err(error) => {
            let mut state = watch.who.world.state();
            state.tally.add("reads that were refused");
            let what = format_args!("a reader of role {} is refused: {error}", watch.who.role);
            state.say(watch.who.truth(), watch.who.process, what);
        }
    }
}

/// Whatever is held and lives, whether or not anybody has rejected it.
pub(crate) fn glances(watch: &Watch) {
    let must = watch.must_serve();
    match watch.credentials.current() {
        Some(session) => watch.was_given(session.access_key_id()),
        None if must => watch.who.broke(format_args!("`current` has none, and a session lives")),
        None => {}
    }
}

/// A session that lives again, since the clock was set back, is ready as soon as the refresher has
/// seen that.
async fn is_ready(watch: &Watch) {
    if !is_served(watch) {
        sleep(INSTANT).await;
        if !is_served(watch) {
            watch.who.broke(format_args!("`ready` has none, and a session lives"));
        }
    }
}

/// Or need not be.
fn is_served(watch: &Watch) -> bool {
    let must = watch.must_serve() && !watch.who.is_on_demand();
    let ready = watch.credentials.ready();
    if let Some(session) = &ready {
        watch.was_given(session.access_key_id());
    }
    ready.is_some() || !must
}

async fn gets(watch: &Watch) {
    let must = watch.must_serve();
    let at_once = must && (!watch.who.is_on_demand() || watch.is_in_its_first_half());
    let begun = watch.who.host.lived();
    let result = watch.credentials.get().await;
    let waited = watch.who.host.lived().since(begun);
    told(watch, result.as_ref());
    is_in_time("get", watch, waited, watch.credentials.policy().read_deadline());
    if at_once && !waited.is_zero() {
        watch.who.broke(format_args!("a reader waits {waited:?}, and a session lives"));
    }
    // Whoever had one when it came and has one when it goes is not refused.
    if let Err(error) = result
        && must
        && watch.must_serve()
    {
        watch.who.broke(format_args!("a reader is refused, and a session lives: {error}"));
    }
}

fn is_in_time(what: &str, watch: &Watch, waited: Duration, deadline: Duration) {
    if !waited.is_zero() {
        watch.who.world.state().tally.add("reads that waited");
    }
    if waited > deadline + ROUNDING {
        watch
            .who
            .broke(format_args!("`{what}` waits {waited:?}, and its deadline is {deadline:?}"));
    }
}

/// Several at the same instant.
async fn crowd(watch: &Watch) {
    tokio::join!(biased; gets(watch), gets(watch), gets(watch), gets(watch));
}

/// Its giving up cancels nothing.
async fn gives_up(watch: &Watch, dice: &mut Dice) {
    match timeout(dice.millis(0, 2000), watch.credentials.get()).await {
        Ok(result) => told(watch, result.as_ref()),
        Err(_) => watch.who.world.state().tally.add("readers that gave up"),
    }
}

async fn is_patient(watch: &Watch, dice: &mut Dice) {
    let patience = dice.secs(1, 90);
    let begun = watch.who.host.lived();
    let result = watch.credentials.get_patiently(patience).await;
    told(watch, result.as_ref());
    is_in_time("get_patiently", watch, watch.who.host.lived().since(begun), patience);
}

/// A service says that a session is no good, mostly the one that is held.
fn rejects(watch: &Watch) {
    if let Some(session) = watch.credentials.current() {
        let what = format_args!("{} is rejected", session.access_key_id());
        watch.who.say(what);
        watch.credentials.rejected(session.access_key_id());
    }
    watch.credentials.rejected("ASIA0");
}

async fn has_refreshed(watch: &Watch) {
    watch.look();
    watch.excuse();
    watch.who.say(format_args!("a reader of role {} has it refreshed", watch.who.role));
    let begun = watch.who.host.lived();
    let result = watch.credentials.refresh_now().await;
    told(watch, result.as_ref());
    let deadline = watch.credentials.policy().read_deadline();
    is_in_time("refresh_now", watch, watch.who.host.lived().since(begun), deadline);
    watch.who.world.state().tally.add("refreshes that readers asked for");
}
