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
    for (name, script, delegate) in
        [("caller", CALLS, "delegate: { to: [helper] }"), ("helper", HELPS, "mode: default")]
    {
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
    ), @r#"
    $ masque run caller -p 'What is here?'
    The helper says: I have listed it.
    ! caller run_1
    ! I ask the helper.
    ! ↳ helper run_2
    ! ✓ helper completed 2 model calls, [n] tokens, $0.0000, [time]
    ! ✓ agent.call persona=helper task="List the project." · I have listed it. · [time]
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    $ masque runs list --persona helper
    RUN                             STATUS     PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_2                           completed  helper   process  2      $0.0000  [s]  List the project.
    $ masque runs show last | sed -n '1,6p'
    run_2 completed 2 model calls, [n] tokens, $0.0000
    persona    helper   sandbox process
    created    [date]
    models     scripted/[root]/helper.yaml
    workspace  [project]
    called by  run_1
    "#);
}

#[test]
fn a_task_is_packed_looked_at_and_run() {
    let masque = Masque::with_script(HELLO);
    assert_snapshot!(masque.session(
        "masque handoff tester -p 'Look at this.' --artifact README.md --env EDITION=2024 --timeout 20m --out task.msqh 2>&1 | sed 's/^[0-9]* bytes/N bytes/'
         masque handoff inspect task.msqh
         masque run --context-from task.msqh --output json | grep -o '\"status\":\"[a-z]*\"'
         masque run tester --context-from task.msqh --task 'Something else.' --output json | grep -o '\"persona\":\"[a-z]*\"'
         masque handoff tester -p 'Say hello.'
         printf x >> task.msqh; masque handoff inspect task.msqh"
    ), @r#"
    $ masque handoff tester -p 'Look at this.' --artifact README.md --env EDITION=2024 --timeout 20m --out task.msqh 2>&1 | sed 's/^[0-9]* bytes/N bytes/'
    N bytes: masque run tester --context-from task.msqh
    $ masque handoff inspect task.msqh
    from       user:tester
    to         tester
    packed     [date]
    signed by  this installation
    directory  [project]
    expects    text
    within     [time]
    artifact   README.md (34 bytes, f6c67f5c51ed)
    setting    EDITION=2024

    Look at this.
    $ masque run --context-from task.msqh --output json | grep -o '"status":"[a-z]*"'
    "status":"completed"
    $ masque run tester --context-from task.msqh --task 'Something else.' --output json | grep -o '"persona":"[a-z]*"'
    "persona":"tester"
    $ masque handoff tester -p 'Say hello.'
    Hello. There is nothing to do.
    ! tester run_1
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    $ printf x >> task.msqh; masque handoff inspect task.msqh
    ! error: task.msqh: the package was changed after it was signed, or its end is missing: ask for it once more
    [exit 2]
    "#);
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
    ), @r#"
    $ masque handoff tester -p 'Go on.' --from last --history recent
    ! error: persona `tester` keeps its conversations to itself
    ! hint: put what is needed into the task and leave --history away
    ! hint: or grant it in the persona's file: `masque: { delegate: { history: true } }`
    [exit 3]
    $ masque handoff tester -p 'Go on.' --env API_TOKEN=x
    ! error: API_TOKEN looks like a secret: secrets are not handed on
    ! hint: grant the target its own secret: masque secret grant
    [exit 3]
    $ masque handoff tester -p 'Go on.' --artifact ../../etc/passwd
    ! error: artifact ../../etc/passwd: No such file or directory (os error 2)
    ! hint: name a file of the workspace
    [exit 2]
    $ masque handoff nobody -p 'Go on.'
    ! error: there is no persona `nobody`
    ! hint: `masque persona list` shows all personas
    [exit 2]
    "#);
}
