//! The personas that come with Masque. Files of the same name replace them.

use crate::{
    file::{self, Outcome},
    front_matter::Sibling,
};

const FILES: [(&str, &str); 2] =
    [("architect", include_str!("../bundled/architect.md")), ("engineer", include_str!("../bundled/engineer.md"))];

/// Reads them.
pub(crate) fn read() -> impl Iterator<Item = Outcome> {
    FILES.iter().map(|(stem, text)| {
        let mut outcome = file::read_persona(&format!("bundled:{stem}.md"), stem, text, Sibling::default());
        if let Some(persona) = &mut outcome.persona {
            "bundled".clone_into(&mut persona.source);
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_personas_have_nothing_to_complain_about() {
        for outcome in read() {
            assert!(outcome.notes.diagnostics.is_empty(), "{:?}", outcome.notes.diagnostics);
            assert!(outcome.persona.is_some_and(|persona| persona.source == "bundled"));
        }
    }
}
