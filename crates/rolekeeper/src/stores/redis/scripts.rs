//! What Redis does for one session, each verb as one script, so that nothing comes in between. What
//! each means is what [`Slot`](rolekeeper_core::Slot) does.
//!
//! All keys of a session have the same hash tag: in a cluster they are on one node. The scripts are
//! sent whole (`EVAL`): a server that has just begun knows none, and to find that out first takes
//! longer than these few hundred bytes.

use std::time::Duration;

use redis::Cmd;
use rolekeeper_core::Fence;

use crate::stores::StoreKey;

/// The sealed record, and when its session was issued by Redis' clock.
const SESSION: &str = "session";
/// The fence of whoever has the lease.
const LEASE: &str = "lease";
/// The highest fence that was granted. It outlives leases, so that a late save is known as such.
const FENCE: &str = "fence";
/// A failure that is told to those who ask for the lease.
const COOLING: &str = "cooling";

/// The fence is kept for longer than any session lives (STS: 12 h, 36 h for `GetSessionToken`).
/// Nothing is kept for longer.
const FENCE_KEPT: Duration = Duration::from_hours(7 * 24);

/// Redis' clock, in milliseconds.
macro_rules! now {
    () => {
        "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    };
}

/// Ends the script with 0 if another has had the lease since.
macro_rules! only_the_last {
    () => {
        "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end "
    };
}

/// `pcall`: whoever may not publish saves all the same, and the others find it when they look.
macro_rules! tell {
    () => {
        "redis.pcall('PUBLISH', KEYS[1], '') "
    };
}

/// `nil`, or the record and its age in milliseconds.
const LOAD: &str = concat!(
    "local r = redis.call('HMGET', KEYS[1], 'record', 'issued') ",
    "local issued = tonumber(r[2] or '') ",
    "if not r[1] or not issued then return nil end ",
    now!(),
    "return {r[1], math.max(0, now - issued)}",
);

/// Three forms: 0 and a fence, 1 and for how long another has the lease, 2 and for how long a failure
/// cools, with the failure. A fence is never lower than Redis' clock, so that it rises also when
/// Redis has lost all it had. A lease without an end is none of ours: it ends here.
const TAKE: &str = concat!(
    "local left = redis.call('PTTL', KEYS[2]) if left > 0 then return {1, left} end ",
    "left = redis.call('PTTL', KEYS[4]) ",
    "if left > 0 then return {2, left, redis.call('GET', KEYS[4])} end ",
    now!(),
    "local last = tonumber(redis.call('GET', KEYS[3]) or '') or 0 ",
    "local fence = string.format('%.0f', math.max(last + 1, now)) ",
    "redis.call('SET', KEYS[3], fence, 'PX', ARGV[2]) ",
    "redis.call('SET', KEYS[2], fence, 'PX', ARGV[1]) ",
    "return {0, fence}",
);

/// 1 if the lease goes on, 0 if another has had one since.
const RENEW: &str =
    concat!(only_the_last!(), "redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) return 1");

/// 1 if it is saved, 0 if another has had the lease since. How old the session is was said when the
/// save was sent. Where the lease has ended on the way (a machine that slept), that is not believed: it
/// was issued after the lease was granted, and a fence is never lower than that time.
const SAVE: &str = concat!(
    only_the_last!(),
    now!(),
    "local issued = now - ARGV[4] ",
    "if redis.call('PTTL', KEYS[2]) <= 0 then issued = math.min(issued, tonumber(ARGV[1])) end ",
    "redis.call('HSET', KEYS[1], 'record', ARGV[2], 'issued', string.format('%.0f', issued)) ",
    "redis.call('PEXPIRE', KEYS[1], ARGV[3]) ",
    "redis.call('DEL', KEYS[2]) ",
    tell!(),
    "return 1",
);

/// 1 if it is told to others, 0 if another has had the lease since.
const COOL: &str = concat!(
    only_the_last!(),
    "redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3]) ",
    "redis.call('DEL', KEYS[2]) ",
    tell!(),
    "return 1",
);

/// 1 if it was ours.
const RELEASE: &str = concat!(
    "if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end ",
    "redis.call('DEL', KEYS[2]) ",
    tell!(),
    "return 1",
);

/// The channel that tells of a session's changes, which has the name of the session's key.
pub(super) fn channel(key: &StoreKey) -> String {
    named(key, SESSION)
}

fn named(key: &StoreKey, what: &str) -> String {
    format!("rolekeeper:{{{key}}}:{what}")
}

fn call(script: &str, key: &StoreKey) -> Cmd {
    let keys = [SESSION, LEASE, FENCE, COOLING].map(|what| named(key, what));
    let mut call = redis::cmd("EVAL");
    call.arg(script).arg(keys.len()).arg(&keys);
    call
}

/// Redis refuses an end that is not at least a millisecond ahead, or that is beyond its numbers.
fn millis(duration: Duration) -> u64 {
    millis_or_none(duration.clamp(Duration::from_millis(1), FENCE_KEPT))
}

fn millis_or_none(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn load(key: &StoreKey) -> Cmd {
    call(LOAD, key)
}

pub(super) fn lease(key: &StoreKey, limit: Duration) -> Cmd {
    let mut call = call(TAKE, key);
    call.arg(millis(limit)).arg(millis(FENCE_KEPT));
    call
}

pub(super) fn renew(key: &StoreKey, fence: Fence, limit: Duration) -> Cmd {
    let mut call = call(RENEW, key);
    call.arg(fence.0).arg(millis(limit));
    call
}

/// `age` is how long ago the session was issued; it is kept for `kept`.
pub(super) fn save(
    key: &StoreKey,
    fence: Fence,
    record: &[u8],
    age: Duration,
    kept: Duration,
) -> Cmd {
    let mut call = call(SAVE, key);
    call.arg(fence.0).arg(record).arg(millis(kept)).arg(millis_or_none(age));
    call
}

pub(super) fn cool(key: &StoreKey, fence: Fence, failure: &[u8], pause: Duration) -> Cmd {
    let mut call = call(COOL, key);
    call.arg(fence.0).arg(failure).arg(millis(pause));
    call
}

pub(super) fn release(key: &StoreKey, fence: Fence) -> Cmd {
    let mut call = call(RELEASE, key);
    call.arg(fence.0);
    call
}
