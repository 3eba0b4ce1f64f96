//! How many tokens a text has, estimated: every model counts in another way. Leaves out real tokenizers.
//!
//! Counted in quarters: a letter is one, so that four letters are a token, as usual for English; a mark is two, because most
//! tokenizers give marks a token of their own; a character of a script without spaces is a token.

use crate::terms;

/// Quarters of a token that make a token.
const UNITS: usize = 4;

/// Estimated tokens of a text.
#[must_use]
pub fn estimated_tokens(text: &str) -> usize {
    units(text).div_ceil(UNITS)
}

pub(super) const fn units_of_tokens(tokens: usize) -> usize {
    tokens * UNITS
}

/// Quarters of a token. Those of two texts that are joined are at most the sum of both.
pub(super) fn units(text: &str) -> usize {
    let mut after_space = false;
    text.chars()
        .map(|c| {
            let space = c.is_whitespace();
            let units = if space { usize::from(!after_space) } else { of_char(c) };
            after_space = space;
            units
        })
        .sum()
}

pub(super) fn of_char(c: char) -> usize {
    if c.is_ascii() {
        if c.is_ascii_alphanumeric() || c.is_ascii_whitespace() { 1 } else { 2 }
    } else if terms::is_unspaced(c) || !c.is_alphanumeric() {
        4
    } else {
        2
    }
}
