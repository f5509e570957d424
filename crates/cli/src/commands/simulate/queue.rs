//! What is to happen, in the order of time: a list for each second of the day, and a heap for the
//! second that it is.

use std::{cmp::Reverse, collections::BinaryHeap, mem};

use super::time::{Micros, second};

/// Ordered by time, then by worker: the same in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) at: Micros,
    pub(super) worker: u32,
    turn: Turn,
}

/// Counts what a worker has planned: only its newest plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u32);

#[derive(Debug)]
pub(super) struct Queue {
    second: usize,
    now: BinaryHeap<Reverse<Event>>,
    later: Vec<Vec<Event>>,
    turns: Vec<Turn>,
}

// === impl Event ===

impl Event {
    /// A new worker comes to this place.
    pub(super) fn is_newcomer(self) -> bool {
        self.turn == Turn::NEWCOMER
    }
}

// === impl Turn ===

impl Turn {
    const NEWCOMER: Self = Self(0);
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(workers: u32, end: Micros) -> Self {
        Self {
            second: 0,
            now: BinaryHeap::new(),
            later: vec![Vec::new(); second(end)],
            turns: vec![Turn::NEWCOMER; workers as usize],
        }
    }

    /// A worker begins in this place, whatever the one before it had planned.
    pub(super) fn newcomer(&mut self, at: Micros, worker: u32) {
        self.add(Event { at, worker, turn: Turn::NEWCOMER });
    }

    /// What this worker does next, instead of what it had planned.
    pub(super) fn plan(&mut self, at: Micros, worker: u32) -> Turn {
        let turn = &mut self.turns[worker as usize];
        turn.0 += 1;
        let turn = *turn;
        self.add(Event { at, worker, turn });
        turn
    }

    /// Whether that is still its plan.
    pub(super) fn is_planned(&self, worker: u32, turn: Turn) -> bool {
        self.turns[worker as usize] == turn
    }

    fn add(&mut self, event: Event) {
        match second(event.at) {
            at if at <= self.second => self.now.push(Reverse(event)),
            // What comes after the day's end comes for nobody.
            at => {
                if let Some(list) = self.later.get_mut(at) {
                    list.push(event);
                }
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(event) = self.soon() {
                if self.counts(event) {
                    return Some(event);
                }
            }
            self.second += 1;
            let list = mem::take(self.later.get_mut(self.second)?);
            self.now = list.into_iter().map(Reverse).collect();
        }
    }

    /// All that is planned until then, worker by worker: for times in which nobody takes notice of
    /// another. What they plan for the same time is told by [`soon`](Self::soon).
    pub(super) fn take_until(&mut self, until: Micros) -> Vec<Event> {
        let mut events: Vec<_> = self.now.drain().map(|Reverse(event)| event).collect();
        let end = second(until).min(self.later.len());
        for list in &mut self.later[self.second + 1..end] {
            events.append(&mut mem::take(list));
        }
        self.second = end - 1;
        events.sort_unstable_by_key(|event| (event.worker, event.at));
        events
    }

    /// The next of this second, or of the time that was taken.
    pub(super) fn soon(&mut self) -> Option<Event> {
        self.now.pop().map(|Reverse(event)| event)
    }

    /// Whether that is still to happen.
    pub(super) fn counts(&self, event: Event) -> bool {
        event.is_newcomer() || self.is_planned(event.worker, event.turn)
    }
}
