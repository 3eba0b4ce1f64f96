//! A prompt for each persona: what editors show as a command with the persona's name.

use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResponse, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};

use super::{super::people::Person, Jobs};

/// The argument that says what to do.
const TASK: &str = "task";

pub(super) fn definition(person: &Person) -> Prompt {
    let task = PromptArgument::new(TASK)
        .with_title("Task")
        .with_description("What the persona is to do, in full sentences")
        .with_required(true);
    Prompt::new(person.name.as_str(), Some(person.description.as_str()), Some(vec![task]))
        .with_title(person.title.as_str())
        .with_icons(person.icons.clone())
}

impl Jobs {
    /// The prompt of a persona with a task in it.
    pub(super) fn filled(&self, get: &GetPromptRequestParams) -> Result<Option<GetPromptResponse>, ErrorData> {
        let callable = self.people.callable();
        let Some(person) = callable.iter().find(|person| person.name == get.name) else { return Ok(None) };
        let given = get.arguments.as_ref().and_then(|arguments| arguments.get(TASK)?.as_str());
        let Some(task) = given.map(str::trim).filter(|task| !task.is_empty()) else {
            return Err(ErrorData::invalid_params(format!("`{TASK}`: say what {} is to do", person.name), None));
        };
        let tool = if person.has_tool {
            format!("`invoke_{}`", person.name)
        } else {
            format!("`invoke_persona` with `persona` set to `{}`", person.name)
        };
        let text = format!(
            "Have the persona {name} do this:\n\n{task}\n\nCall the tool {tool}. Give what the task refers to, such as \
             open files or a selection, as `context` or `files`. Then call `check_persona_job` with the `job_id` and \
             `wait_s: 25` until the job has ended, and show me its result as it is, with the name of the persona.",
            name = person.name,
        );
        let messages = vec![PromptMessage::new_text(Role::User, text)];
        let result = GetPromptResult::new(messages).with_description(person.description.clone());
        Ok(Some(result.into()))
    }
}
