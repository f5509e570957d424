//! What is told, in words, of refreshing that doesn't go well: while a command waits for its first session, and
//! while a program runs.

use std::{convert::Infallible, time::Duration};

use rolekeeper::{Event, EventKind};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{exit, output::Printer};

/// Tells what is worth a warning, for as long as it is polled.
pub(crate) async fn tell(mut events: Receiver<Event>, printer: &Printer) -> Infallible {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Some(words) = words(&event) {
                    printer.warning(words);
                }
            }
            // The ones that were missed told of the same trouble.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn words(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Failed(refusal) => {
            let mut words = format!("no new session: {}", exit::one_line(&refusal.failure));
            // A failure that nobody waits out is told by who gets it, as an error.
            let next_try =
                refusal.next_try.or((!event.remaining.is_zero()).then_some(Duration::ZERO))?;
            if !next_try.is_zero() {
                words.push_str(&format!("; next try in {} s", rounded_up(next_try)));
            }
            if !event.remaining.is_zero() {
                words.push_str(&format!(
                    "; the one held lasts {} s more",
                    event.remaining.as_secs()
                ));
            }
            Some(words)
        }
        EventKind::Expired => Some("the session has ended, and there is no newer one".to_owned()),
        _ => None,
    }
}

fn rounded_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
