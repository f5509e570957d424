//! Decides what time it is, for the whole sandbox: the only file that asks the operating system.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A moment, in milliseconds since 1970. All arithmetic saturates: no input can overflow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub(crate) const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    pub(crate) fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    pub(crate) fn shifted(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// The first whole second at or after this moment: what an `Expiration` can say exactly.
    pub(crate) fn up_to_second(self) -> Self {
        Self(self.0.saturating_add(999).div_euclid(1000).saturating_mul(1000))
    }

    /// As AWS' XML writes a time: `2026-01-02T03:04:05Z`.
    pub(crate) fn iso(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// As SigV4 writes a time: `20260102T030405Z`.
    pub(crate) fn amz(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// As the `Date` header writes a time.
    pub(crate) fn http_date(self) -> String {
        self.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Reads `20260102T030405Z`, and nothing looser.
    pub(crate) fn parse_amz(text: &str) -> Option<Self> {
        let well_formed = text.len() == 16
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        if !well_formed {
            return None;
        }
        let iso = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &text[0..4],
            &text[4..6],
            &text[6..8],
            &text[9..11],
            &text[11..13],
            &text[13..15]
        );
        let timestamp: Timestamp = iso.parse().ok()?;
        Some(Self(timestamp.as_millisecond()))
    }

    /// For the signer. Before 1970 there is nothing to sign.
    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    fn timestamp(self) -> Timestamp {
        let nearest = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(self.0).unwrap_or(nearest)
    }
}

/// The sandbox's clock: the machine's, and how far sessions have been aged beyond it.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    aged_millis: AtomicI64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the sandbox's one clock: all others ask here")]
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), aged_millis: AtomicI64::new(0) }
    }

    /// The machine's wall clock: what requests are dated against.
    #[expect(clippy::disallowed_methods, reason = "the sandbox's one clock: all others ask here")]
    pub(crate) fn wall(&self) -> Moment {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)
            }
        };
        Moment(millis)
    }

    /// How long the sandbox has been up: what throttling and down times are measured with.
    #[expect(clippy::disallowed_methods, reason = "the sandbox's one clock: all others ask here")]
    pub(crate) fn uptime(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// Ages every session issued so far.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        // The closure always answers, so the update cannot fail.
        let _ = self.aged_millis.fetch_update(Ordering::AcqRel, Ordering::Acquire, |aged| {
            Some(aged.saturating_add(by))
        });
    }

    /// How much older than the wall clock says the sessions are. It only grows.
    pub(crate) fn aged(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.aged_millis.load(Ordering::Acquire)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_time_is_written_as_each_protocol_writes_it() {
        let moment = Moment::parse_amz("20260102T030405Z").unwrap();
        assert_eq!(moment.unix_seconds(), 1_767_323_045);
        assert_eq!(moment.iso(), "2026-01-02T03:04:05Z");
        assert_eq!(moment.amz(), "20260102T030405Z");
        assert_eq!(moment.http_date(), "Fri, 02 Jan 2026 03:04:05 GMT");
    }

    #[test]
    fn only_the_sigv4_form_of_a_time_is_read() {
        for text in
            ["", "20260102T030405", "20261302T030405Z", "2026010２T03045Z", "20260102 030405Z"]
        {
            assert_eq!(Moment::parse_amz(text), None, "{text}");
        }
    }

    #[test]
    fn the_far_ends_of_time_do_not_overflow() {
        let far = Moment(i64::MAX).plus(std::time::Duration::MAX).up_to_second();
        assert!(far.iso().starts_with("9999"));
        assert!(Moment(i64::MIN).shifted(i64::MIN).iso().starts_with("-"));
    }
}
