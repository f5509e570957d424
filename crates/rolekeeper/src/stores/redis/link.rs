//! The one connection that a store has in each process and runtime: made when it is first needed,
//! thrown away when it is broken or leads to the wrong server, and made anew by the next call.
//! Nothing is tried twice in a call.

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use redis::{Cmd, Value};
use rolekeeper_core::Elapsed;
use tokio::time::timeout;

use super::{
    LIMIT,
    address::Address,
    connect::Live,
    trouble::{needs_another_connection, told},
};
use crate::{Clock, sources::PerProcess, stores::StoreError};

/// A connection that was not used for so long is not used again: what stands in between (NAT, load
/// balancers, firewalls) forgets it after minutes, often without a word. Sessions are fetched an hour
/// apart.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Link {
    pub(super) address: Address,
    clock: Clock,
    here: PerProcess<Here>,
}

/// What there is in this process and runtime.
#[derive(Default)]
struct Here {
    /// And when it was used last.
    live: Mutex<Option<(Arc<Live>, Elapsed)>>,
    /// One at a time connects.
    connecting: tokio::sync::Mutex<()>,
}

// === impl Link ===

impl Link {
    pub(super) fn to(address: Address, clock: Clock) -> Self {
        Self { address, clock, here: PerProcess::empty() }
    }

    /// Asks once, for as long as [`LIMIT`].
    pub(super) async fn call(&self, command: &Cmd) -> Result<Value, StoreError> {
        let here = self.here.own_or(Here::default);
        let ask = async {
            let live = here.live(self).await?;
            let answer = live.query(command).await;
            answer.map_err(|error| {
                if needs_another_connection(&error) {
                    here.discard(&live);
                }
                told(&self.address, &error)
            })
        };
        timeout(LIMIT, ask).await.unwrap_or_else(|_| {
            // It may lead nowhere: a host that is gone doesn't say so.
            here.discard_any();
            Err(StoreError::new(format!(
                "no answer from {} within {} ms",
                self.address,
                LIMIT.as_millis()
            ))
            .with_hint("check that it can be reached from here, and how busy it is"))
        })
    }

    /// Resolves when something was published in this channel, or may have been.
    pub(super) async fn changed(&self, name: &str) {
        let here = self.here.own_or(Here::default);
        // Where nothing can be heard, whoever waits looks again after a while.
        let Ok(live) = here.live(self).await else { return pending().await };
        let (channel, idle) = live.news.channel(name);
        let mut change = pin!(channel.change.notified());
        change.as_mut().enable();
        if !channel.is_heard.load(Ordering::Acquire) {
            if live.subscribe(name).await.is_err() {
                return pending().await;
            }
            channel.is_heard.store(true, Ordering::Release);
            for name in idle {
                let _ = live.unsubscribe(&name).await;
            }
            // It may have changed between the last look and this: one look more.
            return;
        }
        if !live.news.is_over() {
            change.await;
        }
    }
}

// === impl Here ===

impl Here {
    fn kept(&self) -> MutexGuard<'_, Option<(Arc<Live>, Elapsed)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self, now: Elapsed) -> Option<Arc<Live>> {
        let mut kept = self.kept();
        let (live, used) = kept.as_mut()?;
        if live.news.is_over() || now.since(*used) > IDLE {
            return None;
        }
        *used = now;
        Some(Arc::clone(live))
    }

    async fn live(&self, link: &Link) -> Result<Arc<Live>, StoreError> {
        let now = || link.clock.now().elapsed;
        if let Some(live) = self.working(now()) {
            return Ok(live);
        }
        let _connecting = self.connecting.lock().await;
        // Another may have connected meanwhile.
        if let Some(live) = self.working(now()) {
            return Ok(live);
        }
        let live = Arc::new(Live::connect(&link.address).await?);
        *self.kept() = Some((Arc::clone(&live), now()));
        Ok(live)
    }

    fn discard(&self, live: &Arc<Live>) {
        self.kept().take_if(|(kept, _)| Arc::ptr_eq(kept, live));
    }

    fn discard_any(&self) {
        self.kept().take();
    }
}
