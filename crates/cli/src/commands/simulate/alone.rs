//! rolekeeper without a store: the real lifecycle, in the background, a session for each worker.

use std::sync::Arc;

use rolekeeper::RefreshPolicy;
use rolekeeper_core::Lifecycle;

use super::{
    fleet::{Loner, World},
    keeper::Keeper,
    sts::Refused,
    time::Micros,
};

#[derive(Default)]
pub(super) struct Alone {
    policy: Arc<RefreshPolicy>,
}

// === impl Alone ===

impl Loner for Alone {
    type Worker = Keeper;

    fn begin(&self, at: Micros, world: &mut World) -> Keeper {
        Keeper::new(Lifecycle::new(Arc::clone(&self.policy), world.chance.next()), at)
    }

    fn due(&self, keeper: &mut Keeper, at: Micros, world: &mut World) -> Option<Micros> {
        if !keeper.wants_one(at) {
            return keeper.wakeup(at);
        }
        let outcome = world.sts.ask(at, &mut world.figures);
        // Nothing else comes to this worker meanwhile.
        let answered = world.answered(at);
        let outcome = outcome.map(|()| world.sts.issue(answered)).map_err(Refused::failure);
        keeper.fetched(answered, at, outcome, &mut world.figures.without);
        keeper.wakeup(answered)
    }

    fn end(&self, keeper: Keeper, at: Micros, world: &mut World) {
        keeper.end(at, &mut world.figures.without);
    }
}
