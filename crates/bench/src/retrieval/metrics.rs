//! Measures of ranked answers, and how sure a difference between two systems is. Pure; leaves out searching.

use crate::statistics::real;

/// How many results count.
const DEPTH: usize = 10;
const SAMPLES: usize = 2_000;

/// What the ranked results of one question are worth.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Score {
    /// Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002), all answers worth the same.
    pub(crate) ndcg: f64,
    /// Whether an answer is first.
    pub(crate) first: f64,
    /// Whether an answer is among the first three: questions have one answer, or several of which one suffices.
    pub(crate) recall_3: f64,
    /// Whether an answer is among the first five.
    pub(crate) recall_5: f64,
}

impl Score {
    /// Scores results, best first and each once, against the right answers.
    pub(crate) fn of(results: &[usize], answers: &[usize]) -> Self {
        let found = results.iter().position(|result| answers.contains(result));
        let recall = |depth: usize| f64::from(u8::from(found.is_some_and(|place| place < depth)));
        Self { ndcg: ndcg(results, answers), first: recall(1), recall_3: recall(3), recall_5: recall(5) }
    }
}

fn ndcg(results: &[usize], answers: &[usize]) -> f64 {
    let gain = |place: usize| 1.0 / (real(place as u64) + 2.0).log2();
    let found = results.iter().take(DEPTH).enumerate().filter(|(_, result)| answers.contains(result));
    let ideal: f64 = (0..answers.len().min(DEPTH)).map(gain).sum();
    if ideal > 0.0 { found.map(|(place, _)| gain(place)).sum::<f64>() / ideal } else { 0.0 }
}

/// A count as a part of another; 0 of nothing.
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { real(part as u64) / real(whole as u64) }
}

/// The mean; 0 of nothing.
pub(crate) fn mean(numbers: &[f64]) -> f64 {
    if numbers.is_empty() { 0.0 } else { numbers.iter().sum::<f64>() / real(numbers.len() as u64) }
}

/// The harmonic mean of precision and recall of a yes-or-no decision, from pairs of (said, true).
pub(crate) fn f1(decisions: &[(bool, bool)]) -> f64 {
    let count = |said: bool, is: bool| decisions.iter().filter(|decision| **decision == (said, is)).count();
    let right = count(true, true);
    share(2 * right, 2 * right + count(true, false) + count(false, true))
}

/// A mean difference with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Difference {
    pub(crate) mean: f64,
    /// 95 of 100 resampled means are not below this and not above `high`.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The difference of two systems over the same questions, by the paired bootstrap. The same numbers give the same interval.
pub(crate) fn difference(ours: &[f64], theirs: &[f64]) -> Difference {
    let each: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
    let mut random = Random::new(each.len() as u64);
    let resampled = |random: &mut Random| {
        let drawn: Vec<f64> = each.iter().filter_map(|_| each.get(random.below(each.len()))).copied().collect();
        mean(&drawn)
    };
    let mut means: Vec<f64> = (0..SAMPLES).map(|_| resampled(&mut random)).collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| means.get(place).copied().unwrap_or(0.0);
    Difference { mean: mean(&each), low: at(SAMPLES / 40), high: at(SAMPLES - 1 - SAMPLES / 40) }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+.3}, 95 % from {:+.3} to {:+.3}", self.mean, self.low, self.high)
    }
}

/// Numbers that look random and are the same in each run (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit; 0 when the limit is 0.
    #[expect(clippy::cast_possible_truncation, reason = "it is below a limit that is a usize")]
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % (limit.max(1) as u64)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }

    #[test]
    fn gain_falls_with_the_logarithm_of_the_place() {
        near(Score::of(&[7, 1, 2], &[7]).ndcg, 1.0);
        near(Score::of(&[1, 7], &[7]).ndcg, 0.630_929_8);
        near(Score::of(&[1, 2, 7], &[7]).ndcg, 0.5);
        // (1 + 1/log2(4)) / (1 + 1/log2(3))
        near(Score::of(&[7, 1, 8], &[7, 8]).ndcg, 1.5 / 1.630_929_8);
        near(Score::of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 42], &[42]).ndcg, 0.0);
        near(Score::of(&[], &[42]).ndcg, 0.0);
    }

    #[test]
    fn recall_asks_for_one_answer_that_is_high_enough() {
        let score = Score::of(&[1, 2, 3, 8, 7], &[7, 8]);
        near(score.first, 0.0);
        near(score.recall_3, 0.0);
        near(score.recall_5, 1.0);
        near(Score::of(&[7, 1], &[7]).first, 1.0);
    }

    #[test]
    fn f1_of_right_and_wrong_decisions() {
        // Two right, one false alarm, one missed: precision and recall are 2/3.
        near(f1(&[(true, true), (true, true), (true, false), (false, true), (false, false)]), 2.0 / 3.0);
        near(f1(&[(false, false)]), 0.0);
    }

    #[test]
    fn the_interval_of_a_difference_holds_its_mean() {
        let ours: Vec<f64> = (0..200).map(|number| f64::from(number % 4) / 4.0 + 0.1).collect();
        let theirs: Vec<f64> = (0..200).map(|number| f64::from(number % 4) / 4.0).collect();
        let same = difference(&ours, &theirs);
        near(same.mean, 0.1);
        near(same.low, 0.1);
        near(same.high, 0.1);
        let mixed = difference(&[1.0, 0.0, 1.0, 0.0], &[0.0, 1.0, 1.0, 0.0]);
        near(mixed.mean, 0.0);
        assert!(mixed.low < 0.0 && mixed.high > 0.0, "{mixed:?}");
    }
}
