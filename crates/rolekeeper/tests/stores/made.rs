//! A source of sessions that can be shared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Source,
    sources::{Fetch, KeyOf},
};
use tokio::time::sleep;

use crate::file::{hour, key};

/// Makes sessions of an hour of the key `key("a")`, and counts them.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) takes: Duration,
    calls: Arc<AtomicUsize>,
}

impl Made {
    pub(crate) fn in_time(takes: Duration) -> Self {
        Self { takes, calls: Arc::default() }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Source for Made {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            sleep(self.takes).await;
            Ok(hour(&format!("MADE{number}")))
        })
    }

    fn name(&self) -> String {
        "made".to_owned()
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(Some(key("a")))))
    }
}
