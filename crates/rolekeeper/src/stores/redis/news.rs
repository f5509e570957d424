//! Who waits for which session's change, on one connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

/// Of so many channels, those that nobody waits for are given up. They are kept until then: who has
/// waited for a session once will do so again, an hour later.
const MANY: usize = 256;

/// What a connection hears.
#[derive(Debug, Default)]
pub(super) struct News {
    channels: Mutex<HashMap<String, Arc<Channel>>>,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) change: Notify,
    /// The server sends what happens there.
    pub(super) is_heard: AtomicBool,
}

// === impl News ===

impl News {
    fn channels(&self) -> MutexGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel of this name, and those that are to be given up for it.
    pub(super) fn channel(&self, name: &str) -> (Arc<Channel>, Vec<String>) {
        let mut channels = self.channels();
        let mut idle = Vec::new();
        if channels.len() >= MANY && !channels.contains_key(name) {
            channels.retain(|name, channel| {
                let is_waited_for = Arc::strong_count(channel) > 1;
                if !is_waited_for {
                    idle.push(name.clone());
                }
                is_waited_for
            });
        }
        (Arc::clone(channels.entry(name.to_owned()).or_default()), idle)
    }

    /// What the server has sent without being asked, and that it has gone.
    pub(super) fn told(&self, push: &PushInfo) {
        match (&push.kind, &push.data[..]) {
            (PushKind::Message, [Value::BulkString(name), ..]) => {
                let name = String::from_utf8_lossy(name);
                if let Some(channel) = self.channels().get(&*name) {
                    channel.change.notify_waiters();
                }
            }
            (PushKind::Disconnection, _) => {
                self.is_over.store(true, Ordering::Release);
                for channel in self.channels().values() {
                    channel.change.notify_waiters();
                }
            }
            _ => {}
        }
    }

    /// The server has gone.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_nobody_waits_for_are_given_up_when_there_are_many() {
        let news = News::default();
        let (waited_for, _) = news.channel("waited for");
        for number in 1..MANY {
            assert_eq!(news.channel(&format!("{number}")).1, [""; 0]);
        }
        assert_eq!(news.channel("1").1, [""; 0], "it is there already");
        let (_, idle) = news.channel("one more");
        assert_eq!(idle.len(), MANY - 1);
        assert!(Arc::ptr_eq(&waited_for, &news.channel("waited for").0));
    }
}
