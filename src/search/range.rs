//! Comparing a searched value with a found one, both as ranges: the prefixes of R4.
//!
//! <https://hl7.org/fhir/R4/search.html#prefix>
//!
//! A date is the interval it leaves open (`2013-01` is all of January); a decimal is the interval
//! of its precision. Bounds are inclusive on both sides; an exclusive bound of a decimal is the
//! next representable number.

/// The prefix of a search value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparator {
    /// The searched range holds all of the found one.
    Equal,
    /// It does not.
    NotEqual,
    /// The found range reaches above the searched one.
    GreaterThan,
    /// The found range reaches below the searched one.
    LessThan,
    /// Greater or equal.
    GreaterOrEqual,
    /// Less or equal.
    LessOrEqual,
    /// The found range lies wholly above.
    StartsAfter,
    /// The found range lies wholly below.
    EndsBefore,
    /// The ranges overlap; whoever makes the test has widened its range.
    Approximately,
}

/// A test on one found range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeTest<T> {
    /// How to compare.
    pub comparator: Comparator,
    /// The first value meant by the search.
    pub low: T,
    /// The last value meant by the search.
    pub high: T,
}

/// A conjunction of bounds on the two ends of a found range; a missing bound always holds. All
/// bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<T> {
    /// `found.low >= `
    pub low_from: Option<T>,
    /// `found.low <= `
    pub low_to: Option<T>,
    /// `found.high >= `
    pub high_from: Option<T>,
    /// `found.high <= `
    pub high_to: Option<T>,
}

/// A number that has neighbours.
pub trait Step: Copy + PartialOrd {
    /// The smallest greater value.
    fn next(self) -> Self;
    /// The greatest smaller value.
    fn previous(self) -> Self;
}

impl Step for i64 {
    fn next(self) -> i64 {
        self.saturating_add(1)
    }

    fn previous(self) -> i64 {
        self.saturating_sub(1)
    }
}

impl Step for f64 {
    fn next(self) -> f64 {
        self.next_up()
    }

    fn previous(self) -> f64 {
        self.next_down()
    }
}

impl Comparator {
    /// The comparator of a two-letter prefix.
    #[must_use]
    pub fn parse(prefix: &str) -> Option<Comparator> {
        Some(match prefix {
            "eq" => Comparator::Equal,
            "ne" => Comparator::NotEqual,
            "gt" => Comparator::GreaterThan,
            "lt" => Comparator::LessThan,
            "ge" => Comparator::GreaterOrEqual,
            "le" => Comparator::LessOrEqual,
            "sa" => Comparator::StartsAfter,
            "eb" => Comparator::EndsBefore,
            "ap" => Comparator::Approximately,
            _ => return None,
        })
    }

    /// The two letters.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Comparator::Equal => "eq",
            Comparator::NotEqual => "ne",
            Comparator::GreaterThan => "gt",
            Comparator::LessThan => "lt",
            Comparator::GreaterOrEqual => "ge",
            Comparator::LessOrEqual => "le",
            Comparator::StartsAfter => "sa",
            Comparator::EndsBefore => "eb",
            Comparator::Approximately => "ap",
        }
    }
}

impl<T: Step> RangeTest<T> {
    /// Whether a found range passes.
    #[must_use]
    pub fn passes(&self, low: T, high: T) -> bool {
        let (first, second) = self.bounds();
        first.hold(low, high) || second.is_some_and(|it| it.hold(low, high))
    }

    /// The test as bounds: the found range passes if it keeps the first or, if there is one, the
    /// second. Both start from the same two columns, so that either can be an index condition.
    #[must_use]
    pub fn bounds(&self) -> (Bounds<T>, Option<Bounds<T>>) {
        let free = Bounds { low_from: None, low_to: None, high_from: None, high_to: None };
        let (low, high) = (self.low, self.high);
        let equal = Bounds { low_from: Some(low), high_to: Some(high), ..free };
        let above = Bounds { high_from: Some(high.next()), ..free };
        let below = Bounds { low_to: Some(low.previous()), ..free };
        match self.comparator {
            Comparator::Equal => (equal, None),
            Comparator::NotEqual => (below, Some(above)),
            Comparator::GreaterThan => (above, None),
            Comparator::LessThan => (below, None),
            Comparator::GreaterOrEqual => (above, Some(equal)),
            Comparator::LessOrEqual => (below, Some(equal)),
            Comparator::StartsAfter => (Bounds { low_from: Some(high.next()), ..free }, None),
            Comparator::EndsBefore => (Bounds { high_to: Some(low.previous()), ..free }, None),
            Comparator::Approximately => (Bounds { low_to: Some(high), high_from: Some(low), ..free }, None),
        }
    }

    /// The same test where every found range is a single point: one interval, or for `ne` the
    /// outside of one. `(from, to)`, inclusive.
    #[must_use]
    pub fn points(&self) -> (Option<T>, Option<T>) {
        match self.comparator {
            Comparator::Equal | Comparator::Approximately => (Some(self.low), Some(self.high)),
            Comparator::NotEqual => (None, None),
            Comparator::GreaterThan | Comparator::StartsAfter => (Some(self.high.next()), None),
            Comparator::LessThan | Comparator::EndsBefore => (None, Some(self.low.previous())),
            Comparator::GreaterOrEqual => (Some(self.low), None),
            Comparator::LessOrEqual => (None, Some(self.high)),
        }
    }
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether a found range keeps them.
    #[must_use]
    pub fn hold(&self, low: T, high: T) -> bool {
        self.low_from.is_none_or(|it| low >= it)
            && self.low_to.is_none_or(|it| low <= it)
            && self.high_from.is_none_or(|it| high >= it)
            && self.high_to.is_none_or(|it| high <= it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a prefix against found ranges around the searched range 10..=19.
    fn check(prefix: &str, expected: &[(i64, i64)]) {
        let test = RangeTest { comparator: Comparator::parse(prefix).unwrap(), low: 10, high: 19 };
        let found = [(0, 9), (0, 10), (0, 30), (10, 10), (10, 19), (12, 15), (15, 25), (19, 20), (20, 30)];
        let passed: Vec<_> = found.into_iter().filter(|(low, high)| test.passes(*low, *high)).collect();
        assert_eq!(passed, expected, "{prefix}");
    }

    #[test]
    fn prefixes_compare_ranges() {
        check("eq", &[(10, 10), (10, 19), (12, 15)]);
        check("ne", &[(0, 9), (0, 10), (0, 30), (15, 25), (19, 20), (20, 30)]);
        check("gt", &[(0, 30), (15, 25), (19, 20), (20, 30)]);
        check("lt", &[(0, 9), (0, 10), (0, 30)]);
        check("ge", &[(0, 30), (10, 10), (10, 19), (12, 15), (15, 25), (19, 20), (20, 30)]);
        check("le", &[(0, 9), (0, 10), (0, 30), (10, 10), (10, 19), (12, 15)]);
        check("sa", &[(20, 30)]);
        check("eb", &[(0, 9)]);
        check("ap", &[(0, 10), (0, 30), (10, 10), (10, 19), (12, 15), (15, 25), (19, 20)]);
    }
}
