//! What is told, in words, of refreshing that doesn't go well: while a command waits for its first
//! session, and while a program runs.

use std::convert::Infallible;

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
            let is_one_held = !event.remaining.is_zero();
            if refusal.next_try.is_none() && !is_one_held {
                // Nobody waits this out: who asked gets it, as an error.
                return None;
            }
            let why = exit::one_line(&refusal.failure);
            let mut words = format!("no new session: {}", why.trim_end_matches('.'));
            if let Some(wait) = refusal.next_try {
                words.push_str(&format!("; next try in {} s", wait.as_secs_f64().ceil()));
            }
            if is_one_held {
                let seconds = event.remaining.as_secs();
                words.push_str(&format!("; the one held lasts {seconds} s more"));
            }
            Some(words)
        }
        EventKind::Expired => Some("the session has ended, and there is no newer one".to_owned()),
        _ => None,
    }
}
