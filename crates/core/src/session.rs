//! One set of temporary credentials and what is known of it: when it arrived and when it ends, on
//! both clocks.

use std::time::Duration;

use crate::{Moment, Secret, Skew, WallTime};

/// A session's last second is not handed out: the `Date` and `Expiration` that its end is computed
/// from are whole seconds, so the true end may lie up to one second earlier.
pub const END_GUARD: Duration = Duration::from_secs(1);

/// What signs a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// `ASIA…` from AWS; any text from others. Not a secret.
    pub access_key_id: String,
    /// The signing key.
    pub secret_access_key: Secret,
    /// Sent with each request; temporary credentials are of no use without it.
    pub session_token: Secret,
}

/// What a source hands over: credentials as they came, not yet placed in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// The credentials.
    pub credentials: Credentials,
    /// When they end, by the issuer's clock.
    pub expiration: WallTime,
    /// What the issuer's clock said when it answered (the response's `Date`), where that is known.
    pub issued_at: Option<WallTime>,
    /// The account that the credentials belong to, 12 digits.
    pub account_id: Option<String>,
    /// `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`.
    pub assumed_role_arn: Option<String>,
    /// When the issuer's answer came, by the clocks here, where that was not just now: to another
    /// process or host, which put it into a store.
    // Few have it, and a session is held for each of thousands of roles.
    pub arrived: Option<Box<Moment>>,
}

/// A session: credentials with a place in time. Only a [`Lifecycle`](crate::Lifecycle) or a store
/// makes one; readers share it and never change it.
#[derive(Clone, Debug)]
pub struct Session {
    issued: Issued,
    arrived: Moment,
    lifetime: Duration,
    skew: Skew,
    end: Moment,
    generation: u64,
}

// === impl Credentials ===

impl Credentials {
    /// All three parts, in the order in which AWS names them.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: impl Into<String>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Secret::new(secret_access_key),
            session_token: Secret::new(session_token),
        }
    }
}

// === impl Issued ===

impl Issued {
    /// Credentials that end at `expiration`; add what else is known with the `with_…` methods.
    ///
    /// ```
    /// use rolekeeper_core::{Credentials, Issued, WallTime};
    ///
    /// let issued = Issued::new(
    ///     Credentials::new("ASIAEXAMPLE", "secret", "token"),
    ///     WallTime::from_unix_secs(1_800_000_000),
    /// )
    /// .with_account_id("123456789012");
    /// assert_eq!(issued.account_id.as_deref(), Some("123456789012"));
    /// ```
    pub fn new(credentials: Credentials, expiration: WallTime) -> Self {
        Self {
            credentials,
            expiration,
            issued_at: None,
            account_id: None,
            assumed_role_arn: None,
            arrived: None,
        }
    }

    /// The issuer's clock when it answered: the response's `Date` header.
    #[must_use]
    pub fn with_issued_at(mut self, date: WallTime) -> Self {
        self.issued_at = Some(date);
        self
    }

    /// The account the credentials belong to.
    #[must_use]
    pub fn with_account_id(mut self, account_id: impl Into<String>) -> Self {
        self.account_id = Some(account_id.into());
        self
    }

    /// It came to somebody else, and at this moment of the clocks here.
    #[must_use]
    pub fn with_arrived(mut self, arrived: Moment) -> Self {
        self.arrived = Some(Box::new(arrived));
        self
    }

    /// The ARN of the assumed role.
    #[must_use]
    pub fn with_assumed_role_arn(mut self, arn: impl Into<String>) -> Self {
        self.assumed_role_arn = Some(arn.into());
        self
    }
}

// === impl Session ===

impl Session {
    /// Places `issued` in time, as arrived `now`, unless it says when it did.
    ///
    /// Where the issuer's own clock is known, the lifetime is the difference of two of *its*
    /// readings, and a wrong clock here does not matter.
    pub fn place(issued: Issued, now: Moment, generation: u64) -> Self {
        let now = issued.arrived.as_deref().copied().unwrap_or(now);
        let issuer_now = issued.issued_at.unwrap_or(now.wall);
        let lifetime = issued.expiration.since(issuer_now);
        let skew = issuer_now.ahead_of(now.wall);
        let end =
            Moment { elapsed: now.elapsed.after(lifetime), wall: issued.expiration.without(skew) };
        Self { issued, arrived: now, lifetime, skew, end, generation }
    }

    /// The same session after a newer look at the issuer's clock; elapsed time stays as it was.
    pub(crate) fn reckoned(&self, skew: Skew) -> Self {
        let mut session = self.clone();
        session.skew = skew;
        session.end.wall = session.issued.expiration.without(skew);
        session
    }

    /// What signs a request.
    pub fn credentials(&self) -> &Credentials {
        &self.issued.credentials
    }

    /// The access key id, which is not a secret.
    pub fn access_key_id(&self) -> &str {
        &self.issued.credentials.access_key_id
    }

    /// The account, where the source told it.
    pub fn account_id(&self) -> Option<&str> {
        self.issued.account_id.as_deref()
    }

    /// The assumed role's ARN, where the source told it.
    pub fn assumed_role_arn(&self) -> Option<&str> {
        self.issued.assumed_role_arn.as_deref()
    }

    /// When it ends *by the issuer's clock*, as the service said it.
    pub fn issuer_expiration(&self) -> WallTime {
        self.issued.expiration
    }

    /// When it ends *by this machine's wall clock*: what to hand on to programs that will compare
    /// it with that clock.
    pub fn expiration(&self) -> WallTime {
        self.end.wall
    }

    /// Whether somebody else fetched it.
    pub(crate) fn is_anothers(&self) -> bool {
        self.issued.arrived.is_some()
    }

    /// How far the issuer's clock is ahead of ours.
    pub fn skew(&self) -> Skew {
        self.skew
    }

    /// When it came.
    pub fn arrived(&self) -> Moment {
        self.arrived
    }

    /// How long it lives from its arrival to its end.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Counts up with each session of one lifecycle, from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Its end on both clocks; the earlier one wins.
    pub fn end(&self) -> Moment {
        self.end
    }

    /// What it still has, by the stricter clock.
    pub fn remaining(&self, now: Moment) -> Duration {
        now.until(self.end)
    }

    /// Whether it may still be handed out: more than [`END_GUARD`] remains.
    pub fn is_valid(&self, now: Moment) -> bool {
        self.remaining(now) > END_GUARD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Elapsed;

    fn now(elapsed: i64, wall: i64) -> Moment {
        Moment {
            elapsed: Elapsed::from_nanos(elapsed * 1_000_000_000),
            wall: WallTime::from_unix_secs(wall),
        }
    }

    fn hour_from(date: i64) -> Issued {
        Issued::new(Credentials::new("ASIA", "s", "t"), WallTime::from_unix_secs(date + 3600))
            .with_issued_at(WallTime::from_unix_secs(date))
    }

    #[test]
    fn a_clock_that_is_hours_off_changes_nothing() {
        for local in [-7200, -1200, 0, 1200, 7200] {
            let session = Session::place(hour_from(100_000), now(5, 100_000 + local), 1);
            assert_eq!(session.lifetime(), Duration::from_secs(3600));
            assert_eq!(
                session.remaining(now(605, 100_600 + local)),
                Duration::from_secs(3000),
                "local clock {local} s off"
            );
            assert_eq!(session.expiration(), WallTime::from_unix_secs(103_600 + local));
            assert_eq!(session.issuer_expiration(), WallTime::from_unix_secs(103_600));
        }
    }

    #[test]
    fn a_step_back_does_not_prolong_and_sleep_counts() {
        let session = Session::place(hour_from(100_000), now(0, 100_000), 1);
        assert!(!session.is_valid(now(3600, 100_000)), "wall clock stepped back an hour");
        assert!(!session.is_valid(now(10, 103_600)), "a pause that only the wall clock saw");
        assert!(session.is_valid(now(3598, 103_598)));
        assert!(!session.is_valid(now(3599, 103_599)), "the last second is not handed out");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let session = Session::place(
            Issued::new(
                Credentials::new("ASIAKEYID", "the-secret", "the-token"),
                WallTime::from_unix_secs(10),
            ),
            now(0, 0),
            1,
        );
        let printed = format!("{session:?}");
        assert!(printed.contains("ASIAKEYID"));
        assert!(!printed.contains("the-secret") && !printed.contains("the-token"), "{printed}");
    }
}
