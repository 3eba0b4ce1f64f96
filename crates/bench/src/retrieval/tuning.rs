//! Settings of the search that are tried instead of the built-in ones. Leaves out choosing them: that is done by hand, on
//! the tuning part of the questions.

use anyhow::{Context as _, bail};
use masque_memory::search::Tuning;

/// The built-in settings with some changed, each given as `name=value`.
pub(crate) fn of(changes: &[String]) -> anyhow::Result<Tuning> {
    let mut tuning = Tuning::default();
    for change in changes {
        let (name, value) = change.split_once('=').with_context(|| format!("`{change}` is not NAME=VALUE"))?;
        let number: f64 = value.parse().with_context(|| format!("`{value}` is no number"))?;
        set(&mut tuning, name, number)?;
    }
    Ok(tuning)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are small and not negative")]
fn set(tuning: &mut Tuning, name: &str, value: f64) -> anyhow::Result<()> {
    match name {
        "rank_constant" => tuning.rank_constant = value as f32,
        "text_weight" => tuning.text_weight = value as f32,
        "vector_weight" => tuning.vector_weight = value as f32,
        "identifier_vector_weight" => tuning.identifier_vector_weight = value as f32,
        "heading_weight" => tuning.heading_weight = value,
        "k1" => tuning.k1 = value,
        "b" => tuning.b = value,
        "candidates" => tuning.candidates = value as usize,
        "confident" => tuning.confident = value as f32,
        _ => bail!("there is no setting `{name}`: see the fields of `masque_memory::search::Tuning`"),
    }
    Ok(())
}
