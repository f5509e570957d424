//! How an SDK's client calls STS again when it fails: the standard mode of the AWS SDKs, and the
//! default of botocore since 1.44 (`retries/standard.py`). Its quota of retries is never used up
//! here: botocore makes a new client for each refresh.

use std::ops::Range;

use super::{
    sts::Refused,
    time::{MILLISECOND, Micros, SECOND},
};

/// In all (`DEFAULT_MAX_ATTEMPTS`).
pub(super) const TRIES: u32 = 3;

/// The first pause is drawn from up to this, the next from up to twice as much; longer after
/// throttling (`_DEFAULT_BACKOFF_CONFIG`).
const PAUSE: Micros = 50 * MILLISECOND;
const PAUSE_THROTTLED: Micros = SECOND;

/// What the pause is drawn from after so many tries; `None` after the last.
pub(super) fn pause(why: Refused, tried: u32) -> Option<Range<Micros>> {
    let most = if why == Refused::Throttled { PAUSE_THROTTLED } else { PAUSE };
    (tried < TRIES).then(|| 0..most << (tried - 1))
}
