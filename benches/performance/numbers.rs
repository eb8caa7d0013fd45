//! Figures of a sample.

use std::time::Duration;

/// The nearest-rank percentile; zero of nothing.
pub fn percentile(sample: &[Duration], percent: usize) -> Duration {
    let mut sorted = sample.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

pub fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len().max(1) as f64
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
