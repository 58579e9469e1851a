//! Medians, quantiles and growth of measured numbers.

use std::time::Duration;

use serde::Serialize;

/// One quantity, measured in several runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Of every value.
    pub(crate) unit: &'static str,
    /// One value of each run, in order.
    pub(crate) runs: Vec<f64>,
    /// The middle of them.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Figure {
    /// Sums up; none without a run.
    pub(crate) fn of(unit: &'static str, runs: Vec<f64>) -> Option<Self> {
        let median = quantile(&runs, 0.5)?;
        let (min, max) = (quantile(&runs, 0.0)?, quantile(&runs, 1.0)?);
        Some(Self { unit, runs, median, min, max })
    }
}

/// Returns the value below which this part of the values lies; none if there are none.
pub(crate) fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = part.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

/// Returns the median of durations in milliseconds; none if there are none.
pub(crate) fn median_ms(samples: &[Duration]) -> Option<f64> {
    let milliseconds: Vec<f64> = samples.iter().map(|one| one.as_secs_f64() * 1e3).collect();
    quantile(&milliseconds, 0.5)
}

/// Says how much faster than `n log n` a cost grows between its first and its last point: at most
/// 1 if it does not. None for fewer than two points.
pub(crate) fn growth(points: &[(f64, f64)]) -> Option<f64> {
    let (&(first, cost_first), &(last, cost_last)) = (points.first()?, points.last()?);
    let weight = |n: f64| n * n.max(2.0).log2();
    (points.len() > 1 && cost_first > 0.0)
        .then(|| cost_last / cost_first / (weight(last) / weight(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let figure = Figure::of("ms", vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((figure.median, figure.min, figure.max), (2.5, 1.0, 4.0));
        assert_eq!(figure.runs, [4.0, 1.0, 3.0, 2.0]);
    }

    #[test]
    fn nothing_measured_is_no_figure() {
        assert!(Figure::of("ms", Vec::new()).is_none());
        assert_eq!(median_ms(&[]), None);
    }

    #[test]
    fn a_quantile_is_drawn_between_its_neighbours() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
    }

    #[test]
    fn growth_is_one_at_n_log_n() {
        let cost = |n: f64| 3.0 * n * n.log2();
        let exact: Vec<_> = [100.0, 1e4].map(|n| (n, cost(n))).into();
        assert!((growth(&exact).unwrap() - 1.0).abs() < 1e-9);
        assert!(growth(&[(100.0, 1.0), (1e4, 1e4)]).unwrap() > 40.0);
        assert!(growth(&[(100.0, 1.0), (1e4, 100.0)]).unwrap() < 1.0);
        assert_eq!(growth(&[(100.0, 1.0)]), None);
    }
}
