//! The personas that come with Masque. Files of the same name replace them.

use crate::{
    file::{self, Outcome},
    sibling::Sibling,
};

/// One of them: name, file, the files beside it.
type Bundled = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        &[$(
            (
                $name,
                include_str!(concat!("../bundled/", $name, ".md")),
                &[("icon.svg", include_str!(concat!("../bundled/", $name, ".svg")))],
            )
        ),*]
    };
}

/// In the order in which they are listed.
const FILES: &[Bundled] = bundled![
    "default",
    "architect",
    "engineer",
    "reviewer",
    "codex",
    "qa",
    "security",
    "sre",
    "release",
    "data",
    "product",
    "designer",
    "writer",
    "research-expert",
    "data-expert",
    "analysis-expert",
    "hpc-expert",
    "workflow-expert",
    "office-assistant",
    "curator",
];

/// Reads them.
pub(crate) fn read() -> impl Iterator<Item = Outcome> {
    FILES.iter().map(|(stem, text, embedded)| {
        let sibling = Sibling { embedded, ..Sibling::default() };
        let mut outcome = file::read_persona(&format!("bundled:{stem}.md"), stem, text, sibling);
        if let Some(persona) = &mut outcome.persona {
            "bundled".clone_into(&mut persona.source);
        }
        outcome
    })
}

/// The files of a bundled persona, by their paths from the directory of personas on.
pub(crate) fn files(name: &str) -> Option<Vec<(String, &'static str)>> {
    let (_, text, embedded) = FILES.iter().find(|(stem, ..)| *stem == name)?;
    let beside = embedded.iter().map(|(path, text)| (format!("{name}/{path}"), *text));
    Some(std::iter::once((format!("{name}.md"), *text)).chain(beside).collect())
}

/// Reads a text as if it stood in place of a bundled persona, with that one's files beside it.
pub(crate) fn read_in_place_of(name: &str, label: &str, text: &str) -> Outcome {
    let embedded = FILES.iter().find(|(stem, ..)| *stem == name).map_or(&[][..], |(.., embedded)| *embedded);
    file::read_persona(label, name, text, Sibling { embedded, ..Sibling::default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::front_matter::PROMPT_TOKENS;

    #[test]
    fn bundled_personas_are_whole_and_each_its_own() {
        let personas: Vec<_> = read()
            .map(|outcome| {
                assert!(outcome.notes.diagnostics.is_empty(), "{:?}", outcome.notes.diagnostics);
                outcome.persona.unwrap()
            })
            .collect();
        assert_eq!(personas.len(), 20);
        let names: BTreeSet<&str> = personas.iter().map(|persona| persona.name.as_str()).collect();
        let (mut icons, mut lines) = (BTreeSet::new(), BTreeSet::new());
        for persona in &personas {
            let name = &persona.name;
            assert_eq!(persona.source, "bundled");
            let tokens = persona.prompt.len().div_ceil(4);
            assert!((300..=PROMPT_TOKENS).contains(&tokens), "{name}: {tokens} tokens");
            assert!(persona.description.len() <= 240, "{name}: {}", persona.description.len());
            let icon = persona.display.icon.as_deref().unwrap();
            assert!(icon.len() < 1024 && icon.contains("viewBox=\"0 0 32 32\"") && icons.insert(icon), "{name}");
            assert!(persona.display.title.is_some() && persona.display.color.is_some(), "{name}");
            assert!(persona.budget.steps.is_some() && persona.budget.wall.is_some(), "{name}");
            for other in &persona.delegate.to {
                assert!(names.contains(other.as_str()) && other != name, "{name} may call {other}");
            }
            for line in persona.prompt.lines().filter(|line| line.len() > 40) {
                assert!(lines.insert(line.trim().to_owned()), "{name} shares the line: {line}");
            }
        }
        let callable: Vec<&str> =
            personas.iter().filter(|persona| persona.callable).map(|persona| persona.name.as_str()).collect();
        for name in ["architect", "engineer", "data", "qa", "security", "sre"] {
            assert!(callable.contains(&name), "{name} is not callable");
        }
    }
}
