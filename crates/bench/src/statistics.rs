//! Repeated measurements in one number. Leaves out how they are written.

use std::time::Duration;

/// The middle of some durations in milliseconds; not a number when there are none.
pub(crate) fn median_ms(durations: &[Duration]) -> f64 {
    quantile_ms(durations, 0.5)
}

/// The duration in milliseconds that this part of all stays below or at.
pub(crate) fn quantile_ms(durations: &[Duration], part: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short list")]
    let place = (real(last as u64) * part).round() as usize;
    sorted.get(place).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
}

/// The middle of some numbers; not a number when there are none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count of a benchmark comes near 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_does_not_follow_outliers() {
        let durations = [9, 1, 2, 3, 5_000].map(Duration::from_millis);
        assert!((median_ms(&durations) - 3.0).abs() < 1e-9);
        assert!((quantile_ms(&durations, 1.0) - 5_000.0).abs() < 1e-9);
        assert!(median_ms(&[]).is_nan());
        assert!((median(vec![7.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
