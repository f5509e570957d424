//! The rule that the SDKs converge on: the real lifecycle with
//! [`sdk_standard`](RefreshPolicy::sdk_standard), driven by reads, a session for each worker.

use std::sync::Arc;

use rolekeeper::RefreshPolicy;
use rolekeeper_core::{Lifecycle, Read};

use super::{
    fleet::{Loner, World},
    keeper::Keeper,
    reads, retries,
    sts::Refused,
    time::{Micros, micros, moment},
};

pub(super) struct OnDemand {
    policy: Arc<RefreshPolicy>,
}

pub(super) struct Reader {
    keeper: Keeper,
    /// When the read came that is being done.
    read_at: Micros,
    tried: u32,
}

// === impl OnDemand ===

impl Default for OnDemand {
    fn default() -> Self {
        Self { policy: Arc::new(RefreshPolicy::sdk_standard()) }
    }
}

impl Loner for OnDemand {
    type Worker = Reader;

    fn begin(&self, at: Micros, world: &mut World) -> Reader {
        let lifecycle = Lifecycle::new(Arc::clone(&self.policy), world.chance.next());
        Reader { keeper: Keeper::new(lifecycle, at), read_at: at, tried: 0 }
    }

    fn due(&self, reader: &mut Reader, at: Micros, world: &mut World) -> Option<Micros> {
        if reader.tried == 0 {
            reader.read_at = at;
            let must_wait = matches!(reader.keeper.lifecycle.read(moment(at)), Read::Wait { .. });
            if !must_wait || !reader.keeper.wants_one(at) {
                return Some(reader.next_read(at));
            }
        }
        reader.tried += 1;
        let outcome = world.sts.ask(at, &mut world.figures);
        let answered = world.answered(at);
        if let Err(why) = outcome
            && let Some(pause) = retries::pause(why, reader.tried)
        {
            return Some(answered + world.draw(pause));
        }
        reader.tried = 0;
        let outcome = outcome.map(|()| world.sts.issue(answered)).map_err(Refused::failure);
        reader.keeper.fetched(answered, reader.read_at, outcome, &mut world.figures.without);
        Some(reader.next_read(answered))
    }

    fn end(&self, reader: Reader, at: Micros, world: &mut World) {
        reader.keeper.end(at, &mut world.figures.without);
    }
}

// === impl Reader ===

impl Reader {
    /// The first one that can't simply take what is there.
    fn next_read(&self, at: Micros) -> Micros {
        let offer = self.keeper.lifecycle.offer(moment(at));
        let until = offer.and_then(|offer| micros(offer.until)).unwrap_or(at);
        reads::next(self.keeper.born, until.max(at + 1))
    }
}
