//! How a child grows: what a growth chart draws.
//!
//! The curves are rough ones of our own, near to where half of all children are; a child stays on a
//! curve beside them.

use super::vital::{absent, one};
use crate::demo::chart::{Chart, Visit};
use crate::demo::code::loinc;

/// Month, height in cm, weight in kg, circumference of the head in cm.
const CURVE: [(f64, f64, f64, f64); 20] = [
    (0.0, 49.8, 3.4, 34.4),
    (1.0, 54.2, 4.4, 36.9),
    (2.0, 57.8, 5.4, 38.7),
    (4.0, 63.2, 6.8, 41.2),
    (6.0, 67.0, 7.7, 42.9),
    (9.0, 71.3, 8.7, 44.6),
    (12.0, 75.0, 9.4, 45.7),
    (18.0, 81.6, 10.7, 47.0),
    (24.0, 87.1, 11.9, 47.9),
    (36.0, 95.6, 14.1, 49.0),
    (48.0, 102.9, 16.2, 49.8),
    (60.0, 109.7, 18.4, 50.4),
    (72.0, 115.9, 20.7, 50.9),
    (84.0, 121.8, 23.1, 51.3),
    (96.0, 127.4, 25.8, 51.7),
    (108.0, 132.7, 28.8, 52.1),
    (120.0, 137.9, 32.2, 52.5),
    (144.0, 150.0, 40.5, 53.3),
    (168.0, 163.0, 50.5, 54.2),
    (204.0, 172.0, 62.0, 55.2),
];

/// How far a child is from the middle, in height and weight: standard deviations.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Channel {
    /// Of height.
    pub(in crate::demo) tall: f64,
    /// Of weight.
    pub(in crate::demo) heavy: f64,
}

/// What is measured of a child at so many months.
pub(in crate::demo) fn measure(chart: &mut Chart, visit: &Visit, months: f64, channel: Channel) {
    let (height, weight, head) = middle(months);
    let wobble = chart.random.sway() * 0.15;
    let height = height * (1.0 + 0.04 * (channel.tall + wobble));
    let weight = weight * (1.0 + 0.11 * (channel.heavy + wobble));
    one(chart, visit, "us-core-body-height", loinc("8302-2", "Body height"), height, (1, "cm", "cm"));
    one(chart, visit, "us-core-body-weight", loinc("29463-7", "Body weight"), weight, (2, "kg", "kg"));
    let lean = channel.heavy - channel.tall;
    if months < 36.0 {
        let code = loinc("9843-4", "Head Occipital-frontal circumference");
        let around = head * (1.0 + 0.025 * channel.tall);
        one(chart, visit, "us-core-head-circumference", code, around, (1, "cm", "cm"));
        let code = loinc("8289-1", "Head Occipital-frontal circumference Percentile");
        let share = percentile(channel.tall);
        one(chart, visit, "head-occipital-frontal-circumference-percentile", code, share, (0, "%", "%"));
        let code = loinc("77606-2", "Weight-for-length Per age and sex");
        one(chart, visit, "pediatric-weight-for-height", code, percentile(lean), (0, "%", "%"));
    } else {
        let index = weight / (height / 100.0).powi(2);
        let code = loinc("39156-5", "Body mass index (BMI) [Ratio]");
        one(chart, visit, "us-core-bmi", code, index, (1, "kg/m2", "kg/m2"));
        let code = loinc("59576-9", "Body mass index (BMI) [Percentile] Per age and sex");
        one(chart, visit, "pediatric-bmi-for-age", code, percentile(lean), (0, "%", "%"));
    }
}

/// A child that would not hold still.
pub(in crate::demo) fn not_measured(chart: &mut Chart, visit: &Visit) {
    for (profile, code) in [
        ("us-core-head-circumference", loinc("9843-4", "Head Occipital-frontal circumference")),
        (
            "head-occipital-frontal-circumference-percentile",
            loinc("8289-1", "Head Occipital-frontal circumference Percentile"),
        ),
        ("pediatric-weight-for-height", loinc("77606-2", "Weight-for-length Per age and sex")),
        ("pediatric-bmi-for-age", loinc("59576-9", "Body mass index (BMI) [Percentile] Per age and sex")),
    ] {
        absent(chart, visit, profile, code);
    }
}

/// The middle curve at a month, straight between its points.
fn middle(months: f64) -> (f64, f64, f64) {
    let mut before = CURVE.first().copied().unwrap_or_default();
    for point in CURVE {
        if point.0 >= months {
            let span = point.0 - before.0;
            let share = if span > 0.0 { (months - before.0) / span } else { 0.0 };
            let between = |low: f64, high: f64| low + (high - low) * share;
            return (between(before.1, point.1), between(before.2, point.2), between(before.3, point.3));
        }
        before = point;
    }
    (before.1, before.2, before.3)
}

/// How many in a hundred are below: the logistic curve is near enough to the normal one.
fn percentile(deviations: f64) -> f64 {
    (100.0 / (1.0 + (-1.7 * deviations).exp())).clamp(1.0, 99.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_grow() {
        let heights: Vec<f64> = (0..200).map(|month| middle(f64::from(month)).0).collect();
        assert!(heights.windows(2).all(|pair| pair[1] > pair[0]));
        assert_eq!(middle(3.0).0, (57.8 + 63.2) / 2.0);
        assert_eq!(percentile(0.0), 50.0);
        assert!(percentile(1.0) > 80.0 && percentile(-9.0) == 1.0);
    }
}
