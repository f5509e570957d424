//! STS: an answer to each call, unless it is gone, or more is asked of it than its quota.

use std::{ops::Range, time::Duration};

use rolekeeper::{Credentials, Failure, Issued, WallTime};

use super::{
    day::Day,
    figures::Figures,
    time::{MILLISECOND, Micros, moment},
};

/// How long an answer takes, and a refusal too: a gateway in front of an STS that is gone answers.
pub(super) const TAKES: Range<Micros> = 50 * MILLISECOND..150 * MILLISECOND;

#[derive(Debug)]
pub(super) struct Sts {
    outage: Option<Range<Micros>>,
    quota: Option<u32>,
    session: Duration,
    sessions: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Unavailable,
    Throttled,
}

// === impl Sts ===

impl Sts {
    pub(super) fn new(day: &Day) -> Self {
        Self { outage: day.outage.clone(), quota: day.quota, session: day.session, sessions: 0 }
    }

    /// A call that comes in now.
    pub(super) fn ask(&self, at: Micros, figures: &mut Figures) -> Result<(), Refused> {
        figures.calls.add(at);
        if self.outage.as_ref().is_some_and(|outage| outage.contains(&at)) {
            return Err(Refused::Unavailable);
        }
        if self.quota.is_some_and(|quota| figures.calls.at(at) > quota) {
            return Err(Refused::Throttled);
        }
        figures.sessions.add(at);
        Ok(())
    }

    /// The session of an answer that arrives now; nobody signs with it.
    pub(super) fn issue(&mut self, at: Micros) -> Issued {
        self.sessions += 1;
        // Whole seconds, as AWS tells them.
        let date = WallTime::from_unix_secs(moment(at).wall.as_unix_secs());
        let credentials = Credentials::new(format!("ASIA{}", self.sessions), "secret", "");
        Issued::new(credentials, date.after(self.session)).with_issued_at(date)
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Unavailable => Failure::unavailable("STS is gone"),
            Self::Throttled => Failure::unavailable("Rate exceeded").with_code("Throttling"),
        }
    }
}
