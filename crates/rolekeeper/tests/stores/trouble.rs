//! What a user is told of a store that can't be used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Clock, Failure, Issued, RefreshPolicy, Source,
    stores::{Answer, MemoryStore, SessionStore, Shared, StoreError, StoreKey, Stored},
};
use rolekeeper_core::{Fence, Lease};

use crate::{made::Made, warnings::Warnings};

/// What is in it can be read; whether more can be written is up to the test.
#[derive(Clone, Debug, Default)]
struct Disk {
    store: MemoryStore,
    is_full: Arc<AtomicBool>,
}

impl SessionStore for Disk {
    fn name(&self) -> String {
        "a disk".to_owned()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        self.store.load(key)
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        self.store.lease(key, limit)
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        self.store.renew(key, fence, limit)
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        if self.is_full.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::new("no space left on device"))));
        }
        self.store.save(key, fence, issued)
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        self.store.cool(key, fence, failure, pause)
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        self.store.release(key, fence);
    }

    fn poll(&self) -> Duration {
        self.store.poll()
    }

    fn patience(&self) -> Duration {
        self.store.patience()
    }
}

#[tokio::test]
async fn a_full_disk_is_told_once_though_it_can_be_read_and_again_after_it_had_room() {
    let (warnings, disk) = (Warnings::collect(), Disk::default());
    let source = Made::in_time(Duration::ZERO);
    let policy = Arc::new(RefreshPolicy::default());
    let shared =
        Shared::new(Arc::new(source.clone()), Arc::new(disk.clone()), policy, Clock::default(), 1);
    // Whether it is full at each fetch, and what has been told after it.
    for (number, (is_full, told)) in
        [(true, 1), (true, 1), (true, 1), (false, 1), (true, 2)].into_iter().enumerate()
    {
        disk.is_full.store(is_full, Ordering::SeqCst);
        let issued = shared.fetch().await.unwrap();
        assert_eq!(source.calls(), number + 1);
        assert_eq!(warnings.lines().len(), told, "fetch {number}: {:#?}", warnings.lines());
        // Else the next errand would take the one that was saved.
        shared.refused(&issued.credentials.access_key_id);
    }
    assert!(warnings.lines()[0].contains("no space left on device"), "{:#?}", warnings.lines());
}
