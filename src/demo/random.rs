//! Dice that fall the same way every time: SplitMix64.
//!
//! Not for secrets: those come from `crypto::random`.

use serde_json::Number;

/// A stream of numbers that a seed decides.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of that number under the seed; neighbours have nothing in common.
    pub(super) fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both inclusive.
    pub(super) fn range(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low).saturating_add(1);
        let step = i64::try_from(self.next() % width).unwrap_or_default();
        low.saturating_add(step)
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T], or: T) -> T {
        let last = i64::try_from(of.len()).unwrap_or_default() - 1;
        let at = usize::try_from(self.range(0, last.max(0))).unwrap_or_default();
        of.get(at).copied().unwrap_or(or)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.range(1, 100) <= percent
    }

    /// From -1 to 1, rather near 0.
    pub(super) fn sway(&mut self) -> f64 {
        let throws = [0; 3].map(|_| self.range(-1000, 1000));
        throws.iter().map(|it| f64::from(i32::try_from(*it).unwrap_or_default())).sum::<f64>() / 3000.0
    }

    /// So many decimal digits.
    pub(super) fn digits(&mut self, count: u32) -> String {
        (0..count)
            .map(|_| char::from_digit(u32::try_from(self.range(0, 9)).unwrap_or(0), 10).unwrap_or('0'))
            .collect()
    }
}

/// A decimal with at most so many places.
pub(super) fn decimal(value: f64, places: i32) -> Number {
    let factor = 10_f64.powi(places);
    let rounded = (value * factor).round() / factor;
    // `1.0` and `1` are the same number, and people write the second.
    if let Ok(whole) = rounded.to_string().parse::<i64>() {
        return Number::from(whole);
    }
    Number::from_f64(rounded).unwrap_or_else(|| Number::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let throw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            (0..20).map(|_| random.range(-3, 3)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7, 1), throw(7, 1));
        assert_ne!(throw(7, 1), throw(7, 2));
        assert_ne!(throw(7, 1), throw(8, 1));
        let mut seen = throw(7, 3);
        seen.extend(throw(7, 4));
        assert!(seen.iter().all(|it| (-3..=3).contains(it)));
        assert!(seen.contains(&-3) && seen.contains(&3), "both ends are thrown: {seen:?}");
    }

    #[test]
    fn decimals_are_written_as_people_do() {
        assert_eq!(decimal(36.95, 1).to_string(), "37");
        assert_eq!(decimal(36.64, 1).to_string(), "36.6");
        assert_eq!(decimal(0.5, 2).to_string(), "0.5");
    }
}
