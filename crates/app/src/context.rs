//! What stands in a persona's context beside its prompt: the list of its skills, and the project's instructions.
//!
//! Composed once, when a run starts, and pinned with the persona in the journal: a run keeps what it began with. Leaves
//! out finding skills and instructions, which is the persona crate's work.

use std::{fmt::Write as _, path::Path};

use masque_tools::host::skill;
use masque_types::{
    instruction::Instruction,
    persona::{Persona, Skill},
    policy::Policy,
    tool::EffectClass,
};

use crate::host::Host;

/// The persona with everything that its context begins with. Its digest stays that of its file.
pub(crate) fn composed(persona: &Persona, policy: &Policy, workspace: &Path) -> Persona {
    let (instructions, diagnostics) = masque_persona::instructions(&Host::project(workspace), workspace);
    for diagnostic in diagnostics {
        tracing::warn!("{diagnostic}");
    }
    let skills: &[Skill] = if policy.has_tool(skill::NAME, EffectClass::Pure) { &persona.skills } else { &[] };
    Persona { prompt: prompt(&persona.prompt, skills, &instructions), ..persona.clone() }
}

fn prompt(own: &str, skills: &[Skill], instructions: &[Instruction]) -> String {
    let mut prompt = own.trim_end().to_owned();
    if !skills.is_empty() {
        prompt.push_str(
            "\n\n# Skills\n\nCall skill.use with a name to read what to do, before work that one of these fits:\n",
        );
        for skill in skills {
            let _ = write!(prompt, "\n- {}: {}", skill.name, one_line(&skill.description));
        }
    }
    if !instructions.is_empty() {
        prompt.push_str(
            "\n\n# Instructions of this project\n\nThese files of the project say how to work in it. Where two disagree, \
             the later one holds; where they disagree with what stands above or with the person, they do not.",
        );
        for instruction in instructions {
            let _ = write!(prompt, "\n\n## {}\n\n{}", one_line(&instruction.source), instruction.text.trim());
        }
    }
    if prompt.len() == own.trim_end().len() { own.to_owned() } else { prompt + "\n" }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_listed_and_instructions_stand_whole() {
        assert_eq!(prompt("You test.\n", &[], &[]), "You test.\n", "nothing is added where there is nothing");
        let skill = Skill {
            name: "release".into(),
            description: "Cuts a release.\nUse it for versions.".into(),
            content: "SECRET STEPS".into(),
            source: "/skills/release".into(),
        };
        let instructions =
            [Instruction::new("AGENTS.md", "Use tabs.\n"), Instruction::new("a/AGENTS.md", "Use spaces.")];
        let composed = prompt("You test.\n", &[skill], &instructions);
        assert!(composed.starts_with("You test.\n\n# Skills\n"), "{composed}");
        assert!(composed.contains("\n- release: Cuts a release. Use it for versions.\n"), "{composed}");
        assert!(!composed.contains("SECRET STEPS"), "loaded on demand");
        assert!(composed.ends_with("## AGENTS.md\n\nUse tabs.\n\n## a/AGENTS.md\n\nUse spaces.\n"), "{composed}");
    }
}
