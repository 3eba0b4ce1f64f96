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

/// A logistic function of the evidence, from 0 to 1.
pub(super) fn confidence(evidence: &Evidence) -> f32 {
    let weight = match evidence.cosine {
        Some(cosine) => 9.0f32.mul_add(cosine, 3.0 * evidence.coverage) - 5.0,
        None => 6.0f32.mul_add(evidence.coverage, -3.0),
    };
    1.0 / (1.0 + (-weight).exp())
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
