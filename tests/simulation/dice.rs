//! The one thing that a world is made of: numbers that follow from its seed.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014), as small as can be: ten thousand worlds draw from it.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Others that go on from here by themselves: what one process draws changes nothing for the
    /// next.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.roll())
    }

    /// From `low` to just below `high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let room = high.saturating_sub(low).max(1).unsigned_abs();
        low.saturating_add_unsigned(self.roll() % room)
    }

    pub(crate) fn millis(&mut self, low: i64, high: i64) -> Duration {
        Duration::from_millis(self.between(low, high).unsigned_abs())
    }

    pub(crate) fn secs(&mut self, low: i64, high: i64) -> Duration {
        Duration::from_secs(self.between(low, high).unsigned_abs())
    }

    pub(crate) fn percent(&mut self, of_hundred: u64) -> bool {
        self.roll() % 100 < of_hundred
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        let at = self.roll() % among.len() as u64;
        &among[usize::try_from(at).unwrap_or(0)]
    }
}
