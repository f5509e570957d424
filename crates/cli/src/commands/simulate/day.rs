//! What happens, and when.

use std::{ops::Range, time::Duration};

use super::{
    chance::Chance,
    time::{HOUR, MINUTE, Micros, SECOND, length},
};

/// All workers begin, and those of a deployed part, in this time.
const START: Micros = MINUTE;

/// A deployment goes on in these hours: every ten minutes a tenth of the workers is replaced.
const DEPLOY: Range<Micros> = 3 * HOUR..5 * HOUR;
const DEPLOY_EVERY: Micros = 10 * MINUTE;
const DEPLOY_PARTS: u32 = 10;

const OUTAGE: Range<Micros> = 6 * HOUR..6 * HOUR + 20 * MINUTE;

/// From here on, the store fails over at the worst moment that there is: in the middle of a round
/// of refreshes.
const FAIL_OVER: Micros = 9 * HOUR;
/// How long the store is gone.
pub(super) const FAIL_OVER_TAKES: Micros = 30 * SECOND;

/// What is looked at after each: the next rounds of refreshes show what it leaves behind.
const WINDOW: Micros = 3 * HOUR;

/// A start against an STS that keeps to its quota: by the slowest rule it takes half an hour, and
/// then come the refreshes of those who began.
const THROTTLED: Micros = 2 * HOUR;

/// What a day may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scenario {
    /// All workers begin within a minute
    Start,
    /// Every 10 minutes a tenth of them is replaced, in the hours 3 to 5
    Deploy,
    /// STS is gone for 20 minutes at hour 6
    Outage,
    /// The store is gone for 30 s after hour 9, and has forgotten everything
    FailOver,
    /// All begin within a minute, and STS refuses what goes beyond its quota
    Throttle,
}

/// One run: how many, for how long, and what befalls them.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub(super) workers: u32,
    pub(super) end: Micros,
    /// How long a session lives.
    pub(super) session: Duration,
    pub(super) seed: u64,
    pub(super) deploys: bool,
    pub(super) outage: Option<Range<Micros>>,
    /// The store fails over in the first round of refreshes from here on.
    pub(super) fail_over: Option<Micros>,
    /// Above so many calls a second STS refuses.
    pub(super) quota: Option<u32>,
}

// === impl Scenario ===

impl Scenario {
    /// Those that a day holds one after the other.
    pub(super) const OF_A_DAY: [Self; 4] =
        [Self::Start, Self::Deploy, Self::Outage, Self::FailOver];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Start => "start storm: all begin within one minute",
            Self::Deploy => "rolling deploy: a tenth is replaced every 10 min, for 2 h",
            Self::Outage => "STS is gone for 20 min",
            Self::FailOver => "the store is gone for 30 s while all refresh, and has forgotten all",
            Self::Throttle => "start storm, and STS refuses what goes beyond its quota",
        }
    }

    /// When it begins, and until when it shows.
    pub(super) fn window(self) -> Range<Micros> {
        let from = match self {
            Self::Start => 0,
            Self::Deploy => DEPLOY.start,
            Self::Outage => OUTAGE.start,
            Self::FailOver => FAIL_OVER,
            Self::Throttle => return 0..THROTTLED,
        };
        from..from + WINDOW
    }
}

// === impl Day ===

impl Day {
    /// Nothing happens but that all begin.
    pub(super) fn calm(workers: u32, end: Micros, session: Duration, seed: u64) -> Self {
        Self {
            workers,
            end,
            session,
            seed,
            deploys: false,
            outage: None,
            fail_over: None,
            quota: None,
        }
    }

    #[must_use]
    pub(super) fn with(mut self, scenario: Scenario) -> Self {
        match scenario {
            Scenario::Start => {}
            Scenario::Deploy => self.deploys = true,
            Scenario::Outage => self.outage = Some(OUTAGE),
            Scenario::FailOver => self.fail_over = Some(FAIL_OVER),
            Scenario::Throttle => {
                self.quota = Some(super::QUOTA);
                self.end = self.end.min(THROTTLED);
            }
        }
        self
    }

    /// When workers begin in this place, one after the other.
    pub(super) fn starts(&self, place: u32, chance: &mut Chance) -> Vec<Micros> {
        let deployed = (0..DEPLOY_PARTS).cycle().zip(self.deployments());
        let deployed = deployed.filter(|(part, _)| *part == place % DEPLOY_PARTS);
        let times = std::iter::once(0).chain(deployed.map(|(_, at)| at));
        times.map(|at| at + chance.below(START)).filter(|at| *at < self.end).collect()
    }

    pub(super) fn deployments(&self) -> impl Iterator<Item = Micros> {
        let every = usize::try_from(DEPLOY_EVERY).unwrap_or(usize::MAX);
        DEPLOY.step_by(every).filter(|_| self.deploys)
    }

    /// When half of the workers have taken over a new session, counted from when it was saved:
    /// their refresh points are spread over a tenth of its life.
    pub(super) fn middle_of_a_round(&self) -> Micros {
        length(self.session) / 20
    }
}
