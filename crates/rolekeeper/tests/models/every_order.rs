//! The cell and the fast lane under loom: every order of their steps, and every value that the
//! memory model lets a load see.

#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../../src/cell.rs"]
mod cell;
#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/clock/lane.rs"]
mod lane;
#[path = "every_order/sync.rs"]
mod sync;

use std::{sync::Arc, time::Duration};

use cell::Cell;
use lane::{CLOSED, Lane};
use loom::thread;
use rolekeeper_core::{Credentials, Elapsed, Issued, Moment, Offer, Session, WallTime};
use sync::{AtomicBool, AtomicI64, Ordering};

const SECOND: i64 = 1_000_000_000;

/// Tries every order with at most three switches away from a thread that could have gone on.
fn in_every_order(story: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(story);
}

fn at(elapsed: i64, wall: i64) -> Moment {
    Moment {
        elapsed: Elapsed::from_nanos(elapsed * SECOND),
        wall: WallTime::from_unix_nanos(wall * SECOND),
    }
}

/// What the watch notes: the beginning, the wall clock stepped an hour ahead, and back again.
const NOTES: [(i64, i64); 3] = [(1000, 10), (1001, 3610), (1002, 20)];

#[test]
fn a_glance_never_mixes_an_old_wall_clock_with_a_new_distance() {
    in_every_order(|| {
        let lane = Arc::new(Lane::over(AtomicI64::new(CLOSED), AtomicI64::new(0)));
        let (elapsed, wall) = NOTES[0];
        lane.open(at(elapsed, wall));
        let watch = thread::spawn({
            let lane = Arc::clone(&lane);
            move || {
                for (elapsed, wall) in &NOTES[1..] {
                    lane.open(at(*elapsed, *wall));
                }
            }
        });
        for (elapsed, wall) in NOTES {
            // The reader's clock shows what it showed at this note.
            if let Some(now) = lane.glance(|| wall * SECOND) {
                let off = now.elapsed.since(Elapsed::from_nanos(elapsed * SECOND));
                assert!(off <= Duration::from_millis(10), "{now:?} is not {elapsed}, {wall}");
                assert!(now.elapsed >= Elapsed::from_nanos(elapsed * SECOND));
            }
        }
        watch.join().unwrap();
    });
}

#[test]
fn a_closed_lane_vouches_for_nothing() {
    in_every_order(|| {
        let lane = Arc::new(Lane::over(AtomicI64::new(CLOSED), AtomicI64::new(0)));
        assert!(lane.glance(|| 10 * SECOND).is_none());
        lane.open(at(1000, 10));
        let closer = thread::spawn({
            let lane = Arc::clone(&lane);
            move || lane.close()
        });
        for wall in [9, 10, 14] {
            let glance = lane.glance(|| wall * SECOND);
            assert!(glance.is_none() || wall == 10, "outside of the lane's span");
        }
        closer.join().unwrap();
        assert!(lane.glance(|| 10 * SECOND).is_none());
    });
}

fn offer(generation: u64, ends: i64) -> Offer {
    let credentials = Credentials::new("ASIA", "secret", "token");
    let issued = Issued::new(credentials, WallTime::from_unix_secs(ends));
    let session = Arc::new(Session::place(issued, at(0, 0), generation));
    Offer { until: session.end(), session }
}

#[test]
fn a_reader_never_gets_what_is_past_its_end_and_never_goes_back() {
    in_every_order(|| {
        let cell = Arc::new(Cell::new(false));
        let clock = Arc::new(AtomicI64::new(0));
        cell.publish(Some(offer(1, 10)));
        let refresher = thread::spawn({
            let (cell, clock) = (Arc::clone(&cell), Arc::clone(&clock));
            move || {
                clock.store(9, Ordering::SeqCst);
                cell.publish(Some(offer(2, 20)));
                clock.store(15, Ordering::SeqCst);
                cell.publish(None);
            }
        });
        let mut newest = 0;
        for _ in 0..2 {
            let mut now = 0;
            let taken = cell.take(|| {
                now = clock.load(Ordering::SeqCst);
                at(now, now)
            });
            let Some(taken) = taken else { continue };
            assert!(!at(now, now).reached(taken.end()), "past its end");
            assert!(taken.generation() >= newest, "an older one after a newer one");
            newest = taken.generation();
        }
        refresher.join().unwrap();
        assert!(cell.take(|| at(15, 15)).is_none(), "withdrawn");
        assert!(cell.peek().is_none());
    });
}

#[test]
fn a_cell_that_nobody_asks_for_reads_keeps_no_flag() {
    in_every_order(|| {
        let cell = Cell::new(false);
        cell.publish(Some(offer(1, 10)));
        let looked = AtomicBool::new(false);
        cell.take(|| {
            looked.store(true, Ordering::Relaxed);
            at(0, 0)
        });
        assert!(looked.load(Ordering::Relaxed) && !cell.take_touched());
        cell.publish(None);
        assert!(cell.take(|| unreachable!("the clock is not asked for nothing")).is_none());
    });
}
