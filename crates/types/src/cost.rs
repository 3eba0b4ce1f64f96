//! Tokens and money: what was spent, what may be spent, what a model costs.

use std::{fmt, ops::AddAssign, time::Duration};

use serde::{Deserialize, Serialize};

use crate::time::millis;

/// Millionths of a US dollar. Prints as dollars: `$0.0042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:04}", self.0 / 1_000_000, self.0 % 1_000_000 / 100)
    }
}

/// Tokens of one or more model calls, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// The part of the input that the provider read from its prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read_tokens: u64,
    /// The part of the input that the provider wrote to its prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
    }
}

/// What a model costs, in millionths of a dollar per million tokens (so `$3 / Mtok` is 3,000,000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Price {
    /// Input that is not read from the cache.
    pub input: MicroUsd,
    /// Output.
    pub output: MicroUsd,
    /// Input read from the cache; the input price when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<MicroUsd>,
    /// Input written to the cache; the input price when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<MicroUsd>,
}

impl Price {
    /// The dearer of two prices, part by part.
    #[must_use]
    pub fn dearest(self, other: Self) -> Self {
        let part =
            |own: Option<MicroUsd>, its: Option<MicroUsd>| own.unwrap_or(self.input).max(its.unwrap_or(other.input));
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: Some(part(self.cache_read, other.cache_read)),
            cache_write: Some(part(self.cache_write, other.cache_write)),
        }
    }

    /// The cost of some usage, rounded up to the next millionth.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let cached = usage.cache_read_tokens.saturating_add(usage.cache_write_tokens);
        let fresh = usage.input_tokens.saturating_sub(cached);
        let sum = [
            (fresh, self.input),
            (usage.cache_read_tokens, self.cache_read.unwrap_or(self.input)),
            (usage.cache_write_tokens, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ]
        .iter()
        .map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0))
        .sum::<u128>();
        MicroUsd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// What a run has used so far. Tokens and money of a call that was lost in a crash stay counted at their reserved
/// amount: the provider may have billed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spend {
    /// Model calls made.
    pub steps: u32,
    /// Tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// Money.
    pub micro_usd: MicroUsd,
}

/// What a run may use. Absent means no limit of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Input and output tokens together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<MicroUsd>,
    /// Active time: waiting for a human does not count.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "wall_ms", with = "optional_millis")]
    pub wall: Option<Duration>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The tighter of two limits, kind by kind: combining can only shrink.
    #[must_use]
    pub fn tightest(self, other: Self) -> Self {
        Self {
            steps: smaller(self.steps, other.steps),
            tokens: smaller(self.tokens, other.tokens),
            micro_usd: smaller(self.micro_usd, other.micro_usd),
            wall: smaller(self.wall, other.wall),
        }
    }
}

fn smaller<T: Ord>(one: Option<T>, two: Option<T>) -> Option<T> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.min(two)),
        (one, two) => one.or(two),
    }
}

mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Millis(#[serde(with = "super::millis")] Duration);

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(wall: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        wall.map(Millis).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Millis>::deserialize(deserializer)?.map(|Millis(wall)| wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cached_input_has_its_own_price() {
        let price = Price {
            input: MicroUsd(3_000_000),
            output: MicroUsd(15_000_000),
            cache_read: Some(MicroUsd(300_000)),
            cache_write: None,
        };
        let usage = Usage { input_tokens: 1_000, output_tokens: 100, cache_read_tokens: 900, cache_write_tokens: 0 };
        assert_eq!(price.cost(&usage), MicroUsd(100 * 3 + 900 * 3 / 10 + 100 * 15));
        assert_eq!(MicroUsd(4_270).to_string(), "$0.0042");
    }

    proptest! {
        #[test]
        fn combining_limits_never_grows_one(a: Option<u64>, b: Option<u64>) {
            let both = Limits { tokens: a, ..Limits::default() }.tightest(Limits { tokens: b, ..Limits::default() });
            prop_assert!([a, b].into_iter().flatten().all(|limit| both.tokens.is_some_and(|got| got <= limit)));
        }
    }
}
