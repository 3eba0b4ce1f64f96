//! How sure it is that a result answers the question at all, so that a search can say that nothing does. Leaves out ranks,
//! which say nothing about it: something is always first.

/// What is known of a result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// The share of the question's terms that it has, from 0 to 1.
    pub(super) coverage: f32,
    /// The cosine of the angle between question and result, where both have vectors.
    pub(super) cosine: Option<f32>,
}

/// What a share of the question's terms counts for beside the cosine.
const COVERAGE: f32 = 0.3;
/// Cosine and share from which it is rather an answer than not. Like [`COVERAGE`] it was chosen on the tuning part of the
/// questions to standards, with all-MiniLM-L6-v2.
const MIDDLE: f32 = 0.44;
/// The share alone, where there are no vectors: words say much less, so that only few answers are doubted.
const MIDDLE_WITHOUT_VECTORS: f32 = 0.3;
const STEEPNESS: f32 = 12.0;

/// A logistic function of the evidence, from 0 to 1; 0.5 where it is as likely an answer as not.
pub(super) fn confidence(evidence: &Evidence) -> f32 {
    let above = match evidence.cosine {
        Some(cosine) => COVERAGE.mul_add(evidence.coverage, cosine) - MIDDLE,
        None => evidence.coverage - MIDDLE_WITHOUT_VECTORS,
    };
    1.0 / (1.0 + (-STEEPNESS * above).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_evidence_is_more_confidence() {
        let of = |coverage, cosine| confidence(&Evidence { coverage, cosine });
        assert!(of(1.0, Some(0.8)) > of(0.5, Some(0.8)));
        assert!(of(0.5, Some(0.8)) > of(0.5, Some(0.2)));
        assert!(of(1.0, None) > of(0.3, None));
        assert!((0.0..=1.0).contains(&of(0.0, Some(-1.0))));
    }
}
