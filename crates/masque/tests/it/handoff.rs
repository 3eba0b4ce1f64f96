//! `masque handoff`, runs from packages, and personas that call each other.

use insta::assert_snapshot;

use crate::support::{HELLO, Masque};

const CALLS: &str = r#"
replies:
  - text: I ask the helper.
    calls:
      - { label: help, tool: agent.call, arguments: { persona: helper, task: "List the project." } }
  - text: "The helper says: {{ results.help.text }}"
"#;

const HELPS: &str = r#"
replies:
  - text: I look.
    calls:
      - { label: list, tool: fs.list, arguments: { path: . } }
  - text: I have listed it.
"#;

/// A caller and a helper, each with a script of its own.
fn two_personas() -> Masque {
    let mut masque = Masque::with_script(HELLO);
    masque.unset("MASQUE_MODEL_DEFAULT");
    for (name, script, delegate) in [("caller", CALLS, "delegate: { to: [helper] }"), ("helper", HELPS, "mode: default")] {
        let file = masque.write(&format!("{name}.yaml"), script);
        let persona = format!(
            "---\nname: {name}\ndescription: Tests.\ntools: [fs.list, agent.call]\nmasque:\n  model: {{ prefer: \
             [\"scripted/{}\"] }}\n  {delegate}\n---\nYou test.\n",
            file.display()
        );
        masque.write(&format!("project/.agents/agents/{name}.md"), &persona);
    }
    masque
}

#[test]
fn a_persona_calls_another_one_and_both_runs_are_shown() {
    let masque = two_personas();
    assert_snapshot!(masque.session(
        "masque run caller -p 'What is here?'
         masque runs list --persona helper
         masque runs show last | sed -n '1,6p'"
    ), @"");
}

#[test]
fn a_task_is_packed_looked_at_and_run() {
    let masque = Masque::with_script(HELLO);
    assert_snapshot!(masque.session(
        "masque handoff tester -p 'Look at this.' --artifact README.md --env EDITION=2024 --timeout 20m --out task.msqh
         masque handoff inspect task.msqh
         masque run --context-from task.msqh --output json | grep -o '\"status\":\"[a-z]*\"'
         masque run tester --context-from task.msqh --task 'Something else.' --output json | grep -o '\"persona\":\"[a-z]*\"'
         masque handoff tester -p 'Say hello.'
         printf x >> task.msqh; masque handoff inspect task.msqh"
    ), @"");
}

#[test]
fn what_may_not_travel_is_refused() {
    let masque = Masque::with_script(HELLO);
    masque.shell("masque run tester -p 'Say hello.'");
    assert_snapshot!(masque.session(
        "masque handoff tester -p 'Go on.' --from last --history recent
         masque handoff tester -p 'Go on.' --env API_TOKEN=x
         masque handoff tester -p 'Go on.' --artifact ../../etc/passwd
         masque handoff nobody -p 'Go on.'"
    ), @"");
}
