//! `masque approvals`: questions of a run, answered from another process.

use insta::assert_snapshot;

use crate::support::{Masque, WRITES};

const ASKS: &str = r#"
replies:
  - calls:
      - { label: answer, tool: human.ask, arguments: { question: "Which colour?", choices: [red, blue] } }
  - text: "You said: {{ results.answer.text }}"
"#;

#[test]
fn a_call_waits_is_shown_is_approved_and_the_run_goes_on() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session(
        "masque run tester -p 'Write it'
         masque runs list
         masque approvals list
         masque approvals show apr_…
         masque approvals approve apr_…
         masque runs resume last
         masque approvals list
         masque approvals list --all"
    ), @r#"
    $ masque run tester -p 'Write it'
    ! tester run_1
    ! I look around.
    ! ✓ fs.list path=. · 5 lines · [time]
    ! Now I write what I found.
    ! waiting for a human:
    ! fs.write asked by rule: ask fs.write
    !   content: Write it
    !   path: note.txt
    !   masque approvals approve apr_1
    !   masque approvals deny apr_1
    ! then go on: masque runs resume run_1
    [exit 4]
    $ masque runs list
    RUN                             STATUS   PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           waiting  tester   process  2      $0.0000  [s]  Write it
    $ masque approvals list
    APPROVAL                        KIND       RUN                             AGE  STATE  QUESTION
    apr_1                           tool_call  run_1                           [s]  open   fs.write path=note.txt content="Write it"
    $ masque approvals show apr_…
    apr_1 (tool_call)
    run       run_1
    call      call_2_1
    digest    [digest]
    asked     [date]
    deadline  [date]: then the call is denied
    asked by  rule: ask fs.write

    fs.write {
      "content": "Write it",
      "path": "note.txt"
    }
    $ masque approvals approve apr_…
    ! approve: apr_1
    ! nobody works on the run now: masque runs resume run_1
    $ masque runs resume last
    created note.txt: 1 lines, 8 bytes
    ! tester run_1
    !   approve by user:tester (cli)
    ! ✓ fs.write path=note.txt content="Write it" · created note.txt: 1 lines, 8 bytes · [time]
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    $ masque approvals list
    APPROVAL  KIND  RUN  AGE  STATE  QUESTION
    $ masque approvals list --all
    APPROVAL                        KIND       RUN                             AGE  STATE    QUESTION
    apr_1                           tool_call  run_1                           [s]  approve  fs.write path=note.txt content="Write it"
    "#);
    assert_eq!(masque.read("note.txt"), "Write it");
}

#[test]
fn a_denial_is_told_to_the_model_with_its_reason() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session(
        "masque run tester -p 'Write it' --output json
         masque approvals deny apr_… --reason 'not on a Friday' --resume"
    ), @r#"
    $ masque run tester -p 'Write it' --output json
    {"approvals":[{"asked_at":,"call_id":"call_2_1","deadline":,"digest":"[digest]","id":"apr_1","question":{"arguments":{"content":"Write it","path":"note.txt"},"kind":"tool_call","reason":"rule: ask fs.write","tool":"fs.write"},"run":"run_1"}],"run":"run_1","status":"waiting","type":"waiting","v":1}
    [exit 4]
    $ masque approvals deny apr_… --reason 'not on a Friday' --resume
    The call was not made: user:tester denied it. Reason: not on a Friday. Do not repeat it; go on without it or finish.
    ! deny: apr_1
    ! tester run_1
    !   deny by user:tester (cli)
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    "#);
    assert!(!masque.path("project/note.txt").exists());
}

#[test]
fn a_question_of_the_persona_takes_a_text() {
    let masque = Masque::with_script(ASKS);
    assert_snapshot!(masque.session(
        "masque run tester -p Paint
         masque approvals approve apr_…
         masque approvals approve apr_… --happened
         masque approvals approve apr_… --reply blue --resume"
    ), @r#"
    $ masque run tester -p Paint
    ! tester run_1
    ! waiting for a human:
    ! Which colour?
    !   1. red
    !   2. blue
    !   masque approvals approve apr_1 --reply TEXT
    !   masque approvals deny apr_1
    ! then go on: masque runs resume run_1
    [exit 4]
    $ masque approvals approve apr_…
    ! error: `approve` does not answer apr_1
    ! hint: this question takes: approve --reply TEXT, or deny
    [exit 2]
    $ masque approvals approve apr_… --happened
    ! error: `happened` does not answer apr_1
    ! hint: this question takes: approve --reply TEXT, or deny
    [exit 2]
    $ masque approvals approve apr_… --reply blue --resume
    You said: blue
    ! reply: apr_1
    ! tester run_1
    !   reply by user:tester (cli)
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    "#);
}

#[test]
fn an_answer_is_given_once_and_to_a_question_that_there_is() {
    let masque = Masque::with_script(WRITES);
    masque.session("masque run tester -p 'Write it'");
    let id = masque.json("masque approvals list --json")[0]["id"].as_str().unwrap().to_owned();
    assert_snapshot!(masque.session(&format!(
        "masque approvals approve {id} --resume
         masque approvals deny {id}
         masque approvals show apr_z"
    )), @r#"
    $ masque approvals approve apr_1 --resume
    created note.txt: 1 lines, 8 bytes
    ! approve: apr_1
    ! tester run_1
    !   approve by user:tester (cli)
    ! ✓ fs.write path=note.txt content="Write it" · created note.txt: 1 lines, 8 bytes · [time]
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    $ masque approvals deny apr_1
    ! error: apr_1 was answered before: approve by user:tester
    [exit 3]
    $ masque approvals show apr_z
    ! error: there is no approval `apr_z`
    ! hint: `masque approvals list` shows all
    [exit 2]
    "#);
}

/// What is typed goes to a terminal of its own, made by `script`.
fn typed(masque: &Masque, text: &str) -> String {
    let line = format!(r#"printf '{text}\n' | script -qec 'masque run tester -p "Write it"' /dev/null"#);
    let screen = masque.shell(&line);
    assert!(screen.status.success(), "{screen:?}");
    String::from_utf8(screen.stdout).unwrap()
}

#[test]
fn at_a_terminal_the_question_is_asked_at_once() {
    let masque = Masque::with_script(WRITES);
    let screen = typed(&masque, "not now");
    assert!(screen.contains("approve? [y]es, [n]o, or the reason why not:"), "{screen}");
    assert!(screen.contains("Reason: not now."), "{screen}");
    assert!(!masque.path("project/note.txt").exists());
    let screen = typed(&masque, "y");
    assert!(screen.contains("created note.txt"), "{screen}");
    assert_eq!(masque.read("note.txt"), "Write it");
}
