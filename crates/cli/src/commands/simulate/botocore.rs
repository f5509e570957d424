//! botocore's own rule, as a small model: a session for each process, refreshed by whoever reads.
//!
//! From botocore 1.44.5: `RefreshableCredentials._refresh` and `_protected_refresh` in
//! `credentials.py`.

use super::{
    day::Day,
    fleet::{Loner, World},
    reads, retries,
    time::{MINUTE, Micros, SECOND, length},
};

/// With less than this left, a read refreshes; if that fails, it gets what is there.
const ADVISORY: Micros = 15 * MINUTE;

/// With less than this left, a read that can't refresh fails, whatever is there.
const MANDATORY: Micros = 10 * MINUTE;

pub(super) struct Botocore {
    session: Micros,
}

pub(super) struct Process {
    born: Micros,
    expiration: Micros,
    /// When the read came that is being done.
    read_at: Micros,
    tried: u32,
}

// === impl Botocore ===

impl Botocore {
    pub(super) fn new(day: &Day) -> Self {
        Self { session: length(day.session) }
    }
}

impl Loner for Botocore {
    type Worker = Process;

    /// A role's credentials are fetched with the first read.
    fn begin(&self, at: Micros, _: &mut World) -> Process {
        Process { born: at, expiration: 0, read_at: at, tried: 0 }
    }

    fn due(&self, process: &mut Process, at: Micros, world: &mut World) -> Option<Micros> {
        if process.tried == 0 {
            process.read_at = at;
        }
        process.tried += 1;
        let outcome = world.sts.ask(at, &mut world.figures);
        let answered = world.answered(at);
        if let Err(why) = outcome
            && let Some(pause) = retries::pause(why, process.tried)
        {
            return Some(answered + world.draw(pause));
        }
        process.tried = 0;
        if outcome.is_ok() {
            // Whole seconds, as AWS tells them.
            process.expiration = answered / SECOND * SECOND + self.session;
        } else if process.expiration < process.read_at + MANDATORY {
            world.figures.without.add(process.read_at);
        }
        // The first read with less than the advisory window left.
        let due = (process.expiration + 1).saturating_sub(ADVISORY).max(answered);
        Some(reads::next(process.born, due))
    }

    /// Each of its reads that got no session was an event, and is counted.
    fn end(&self, _: Process, _: Micros, _: &mut World) {}
}
