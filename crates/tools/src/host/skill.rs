//! `skill.use`: gives the instructions of one of the persona's skills. The list of skills stands in the persona's prompt;
//! what they say is loaded when it is needed.

use masque_types::{
    BoxFuture,
    persona::Skill,
    tool::{EffectClass, Invocation, Place, ToolOutput, ToolSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::HostTool;
use crate::{
    builtin::schema_of,
    failure::{Failure, Outcome, arguments, into_output},
};

/// Canonical name.
pub const NAME: &str = "skill.use";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The skill's name, as listed.
    name: String,
}

/// What the tool declares.
#[must_use]
pub fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description:
            "Gives the full instructions of one of your skills by its name. Use it before you begin with work \
                      that the description of a listed skill fits, and follow what it says."
                .to_owned(),
        input_schema: schema_of::<Arguments>(),
        output_schema: None,
        effect: EffectClass::Pure,
        place: Place::Host,
        depends_on: Vec::new(),
    }
}

/// The tool, with the skills that the run began with.
pub struct SkillUse(Vec<Skill>);

impl SkillUse {
    /// The tool of a persona with these skills.
    #[must_use]
    pub const fn new(skills: Vec<Skill>) -> Self {
        Self(skills)
    }

    fn find(&self, invocation: &Invocation) -> Outcome {
        let asked: Arguments = arguments(invocation.call.arguments.clone())?;
        let skill = self.0.iter().find(|skill| skill.name == asked.name).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|skill| skill.name.as_str()).collect();
            Failure::new(format!("there is no skill `{}`; there are: {}", asked.name, names.join(", ")))
        })?;
        let files = format!("Files that these instructions name are relative to {}.", skill.source);
        Ok(ToolOutput::text(format!("# Skill {}\n\n{}\n\n[{files}]", skill.name, skill.content.trim())))
    }
}

impl HostTool for SkillUse {
    fn spec(&self) -> ToolSpec {
        spec()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { into_output(self.find(invocation)) })
    }
}
