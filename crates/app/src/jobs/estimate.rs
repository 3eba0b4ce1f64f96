//! How long a job may take, learned from past runs. Pure; leaves out reading them.

use masque_types::cost::Limits;

use super::Estimate;

/// How many past runs are looked at.
pub(super) const NEWEST: usize = 50;
/// Fewer than these say little.
const FEWEST: usize = 3;
/// What is said of a persona that never ran.
const GUESS_SECONDS: u64 = 60;
const GUESS_MOST_SECONDS: u64 = 300;

/// The median and the 80th percentile of past durations; a guess within the budget while there are too few.
pub(super) fn estimate(durations_ms: &[u64], budget: &Limits) -> Estimate {
    if durations_ms.len() < FEWEST {
        let wall = budget.wall.map_or(u64::MAX, |wall| wall.as_secs().max(1));
        let (seconds, most_seconds) = (GUESS_SECONDS.min(wall), GUESS_MOST_SECONDS.min(wall));
        return Estimate { seconds, most_seconds, learned_from: 0 };
    }
    let mut sorted = durations_ms.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default().div_ceil(1_000).max(1)
    };
    Estimate { seconds: at(50), most_seconds: at(80), learned_from: sorted.len() as u64 }
}

/// The seconds that are left of a job that was taken so long ago. One that takes longer than four of five did is expected to
/// take as long again as its share of the way says.
pub(super) fn left(estimate: &Estimate, elapsed_ms: u64, percent: u8) -> u64 {
    let elapsed = elapsed_ms / 1_000;
    if elapsed < estimate.seconds {
        return estimate.seconds - elapsed;
    }
    if elapsed < estimate.most_seconds {
        return estimate.most_seconds - elapsed;
    }
    let percent = u64::from(percent.clamp(1, 99));
    elapsed.saturating_mul(100 - percent).div_ceil(percent).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_runs_give_a_guess_within_the_budget() {
        let none = Limits::default();
        assert_eq!(estimate(&[], &none), Estimate { seconds: 60, most_seconds: 300, learned_from: 0 });
        let short = Limits { wall: Some(Duration::from_secs(20)), ..Limits::default() };
        assert_eq!(estimate(&[9, 9], &short), Estimate { seconds: 20, most_seconds: 20, learned_from: 0 });
        let learned = estimate(&[1_000, 9_000, 2_000, 100_000, 3_000], &none);
        assert_eq!(learned, Estimate { seconds: 3, most_seconds: 9, learned_from: 5 });
        assert_eq!((left(&learned, 1_000, 10), left(&learned, 4_000, 10)), (2, 5));
        assert_eq!(left(&learned, 10_000, 50), 10);
    }

    proptest! {
        #[test]
        fn half_take_longer_and_one_of_five_longer_than_the_most(mut durations in prop::collection::vec(0..10_000_000_u64, 3..80)) {
            let learned = estimate(&durations, &Limits::default());
            durations.sort_unstable();
            let below = |seconds: u64| durations.iter().filter(|duration| **duration <= seconds * 1_000).count();
            prop_assert!(below(learned.seconds) * 2 >= durations.len());
            prop_assert!(below(learned.most_seconds) * 5 >= durations.len() * 4);
            prop_assert!(learned.seconds <= learned.most_seconds);
        }
    }
}
