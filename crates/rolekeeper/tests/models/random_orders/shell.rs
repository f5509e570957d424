//! What a story has to tell of: credentials of one role, and the source that makes its sessions.

use std::{ops::Deref, sync::Arc, time::Duration};

use rolekeeper_core::RefreshPolicy;
use shuttle::{
    future::yield_now,
    rand::{Rng, thread_rng},
};

use super::{
    refreshable::{Builder, RefreshableCredentials},
    script::{Answer, Script},
    time,
};

#[derive(Clone)]
pub(super) struct Shell {
    credentials: RefreshableCredentials,
    script: Script,
}

impl Shell {
    pub(super) fn new(policy: RefreshPolicy) -> Self {
        let script = Script::new("role");
        let builder = Builder::shared(Arc::new(script.clone())).policy(Arc::new(policy));
        Self { credentials: builder.build(), script }
    }

    /// Any of these, each time.
    pub(super) fn source_gives(&self, answers: &[Answer]) {
        self.script.gives(answers);
    }

    /// How often the source was asked.
    pub(super) fn calls(&self) -> usize {
        self.script.asked().len()
    }

    /// Returns when it was asked so often.
    pub(super) async fn until_asked(&self, calls: usize) {
        while self.calls() < calls {
            yield_now().await;
        }
    }

    pub(super) fn reject_what_is_held(&self) {
        if let Some(held) = self.held() {
            self.rejected(held.access_key_id());
        }
    }
}

impl Deref for Shell {
    type Target = RefreshableCredentials;

    fn deref(&self) -> &RefreshableCredentials {
        &self.credentials
    }
}

/// Up to forty minutes.
pub(super) async fn pass_some_time() {
    let minutes = thread_rng().gen_range(0..40);
    time::pass(Duration::from_secs(60 * minutes)).await;
}
