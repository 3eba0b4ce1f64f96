//! `masque runs`: looking back at runs, and steering them.

use insta::assert_snapshot;

use crate::support::{HELLO, Masque, WRITES};

fn with_a_run() -> Masque {
    let masque = Masque::with_script(WRITES);
    let output = masque.shell("masque run tester -p 'Write it' --approve fs.write");
    assert!(output.status.success(), "{output:?}");
    masque
}

#[test]
fn a_run_is_listed_shown_replayed_and_watched_to_its_end() {
    let masque = with_a_run();
    assert_snapshot!(masque.session(
        "masque runs list
         masque runs show last
         masque runs replay last | tail -1
         masque runs watch last --after 13"
    ), @r#"
    $ masque runs list
    RUN                             STATUS     PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           completed  tester   process  3      $0.0000  [s]  Write it
    $ masque runs show last
    run_1 completed 3 model calls, [n] tokens, $0.0000
    persona    tester   sandbox process
    created    [date]
    models     scripted/[root]/script.yaml
    workspace  [project]

       #   seconds
       1  [at]  created by user:tester, sandbox process
                     task: Write it
       2  [at]  persona tester ([project]/.agents/agents/tester.md, [digest])
       3  [at]  tools fs.list fs.read fs.write human.ask result.read shell.exec
       4  [at]  model call 1: 1 message, [n] tokens reserved
       5  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     I look around.
                     calls fs.list path=.
       6  [at]  fs.list begins (pure)
       7  [at]  fs.list done, [time]
                     .agents/ agents/ README.md (34) src/ main.rs (66)
       8  [at]  model call 2: 3 messages, [n] tokens reserved
       9  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     Now I write what I found.
                     calls fs.write path=note.txt content="Write it"
      10  [at]  asks tool_call for fs.write apr_1
      11  [at]  approve by user:tester (flag)
      12  [at]  fs.write begins (keyed)
      13  [at]  fs.write done, [time]
                     created note.txt: 1 lines, 8 bytes
      14  [at]  model call 3: 5 messages, [n] tokens reserved
      15  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     created note.txt: 1 lines, 8 bytes
      16  [at]  completed: 3 model calls, [n] tokens, $0.0000

    tester
    created note.txt: 1 lines, 8 bytes
    $ masque runs replay last | tail -1
    16 events replayed: the same decisions, no effects
    $ masque runs watch last --after 13
      14  [at]  model call 3: 5 messages, [n] tokens reserved
      15  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     created note.txt: 1 lines, 8 bytes
      16  [at]  completed: 3 model calls, [n] tokens, $0.0000
    "#);
}

#[test]
fn runs_are_found_by_the_beginning_of_their_id_and_filtered() {
    let masque = with_a_run();
    assert_snapshot!(masque.session(
        "masque runs list --status waiting
         masque runs list --persona tester --json
         masque runs list --status asleep
         masque runs show run_0 | head -1
         masque runs show run_zzz
         masque runs show nonsense"
    ), @r#"
    $ masque runs list --status waiting
    RUN  STATUS  PERSONA  SANDBOX  CALLS  COST  AGE  TASK
    $ masque runs list --persona tester --json
    [{"id":"run_1","persona":"tester","title":"Write it","status":"completed","sandbox":"process","spend":{"steps":3,"input_tokens":,"output_tokens":,"micro_usd":0},"last_seq":16,"created_at":,"updated_at":}]
    $ masque runs list --status asleep
    ! error: invalid value 'asleep' for '--status <STATUS>': expected running, waiting, completed, failed or cancelled
    !
    ! For more information, try '--help'.
    [exit 2]
    $ masque runs show run_0 | head -1
    run_1 completed 3 model calls, [n] tokens, $0.0000
    $ masque runs show run_zzz
    ! error: there is no run `run_zzz`
    ! hint: `masque runs list` shows all
    [exit 2]
    $ masque runs show nonsense
    ! error: there is no run `nonsense`
    ! hint: `masque runs list` shows all
    [exit 2]
    "#);
}

#[test]
fn there_is_no_last_run_before_the_first() {
    assert_snapshot!(Masque::new().session("masque runs show last\nmasque runs list"), @r#"
    $ masque runs show last
    ! error: there are no runs yet
    ! hint: start one: masque run -p "…"
    [exit 2]
    $ masque runs list
    RUN  STATUS  PERSONA  SANDBOX  CALLS  COST  AGE  TASK
    "#);
}

#[test]
fn a_fork_goes_another_way_and_names_what_stays_done() {
    let masque = with_a_run();
    assert_snapshot!(masque.session(
        "masque runs fork last --at 8 -p 'Write it twice' --no-drive
         masque runs show last | head -6
         masque runs resume last --approve fs.write
         masque runs list
         masque runs fork last
         masque runs fork last --at 999"
    ), @r#"
    $ masque runs fork last --at 8 -p 'Write it twice' --no-drive
    run_1
    ! the parent did this after event 8, and it stays done: fs.write (call_2_1)
    $ masque runs show last | head -6
    run_1 running 0 model calls, [n] tokens, $0.0000
    persona    tester   sandbox process
    created    [date]
    models     scripted/[root]/script.yaml
    workspace  [project]
    fork of    run_2 at event 8
    $ masque runs resume last --approve fs.write
    replaced note.txt: 1 lines, 8 bytes
    ! tester run_1
    ! Now I write what I found.
    !   approve by user:tester (flag)
    ! ✓ fs.write path=note.txt content="Write it" · replaced note.txt: 1 lines, 8 bytes · [time]
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    $ masque runs list
    RUN                             STATUS     PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           completed  tester   process  2      $0.0000  [s]  Write it
    run_2                           completed  tester   process  3      $0.0000  [s]  Write it
    $ masque runs fork last
    ! error: nothing is left to do in run_1 after event 18
    ! hint: add an instruction with -p, or fork at an earlier event with --at
    [exit 2]
    $ masque runs fork last --at 999
    ! error: run_1 has no event 999 to fork at
    ! hint: events 2 to 18: masque runs show run_1
    [exit 2]
    "#);
    assert_eq!(masque.read("note.txt"), "Write it");
}

#[test]
fn an_ended_run_is_neither_resumed_nor_cancelled() {
    let masque = with_a_run();
    assert_snapshot!(masque.session("masque runs resume last\nmasque runs cancel last"), @r#"
    $ masque runs resume last
    ! error: run_1 is completed already
    ! hint: go on from it in a new run: masque runs fork run_1 -p "…"
    [exit 3]
    $ masque runs cancel last
    ! error: run_1 is completed already
    [exit 3]
    "#);
}

#[test]
fn a_waiting_run_is_cancelled_and_keeps_its_partial_result() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session(
        "masque run tester -p 'Write it' --output json > /dev/null
         masque runs cancel last
         masque runs show last | tail -6
         masque approvals list"
    ), @r#"
    $ masque run tester -p 'Write it' --output json > /dev/null
    [exit 4]
    $ masque runs cancel last
    run_1 cancelled 2 model calls, [n] tokens, $0.0000
    $ masque runs show last | tail -6
      10  [at]  asks tool_call for fs.write apr_1
      11  [at]  cancel asked by user:tester
      12  [at]  cancelled

    tester
    Now I write what I found.
    $ masque approvals list
    APPROVAL  KIND  RUN  AGE  STATE  QUESTION
    "#);
}

#[test]
fn an_exported_script_answers_as_the_models_did() {
    let mut masque = with_a_run();
    let exported = masque.shell("masque runs export last --format script");
    let exported = String::from_utf8(exported.stdout).unwrap();
    masque.script(&exported);
    assert_snapshot!(masque.session("masque run tester -p 'Something else' --approve fs.write"), @r#"
    $ masque run tester -p 'Something else' --approve fs.write
    created note.txt: 1 lines, 8 bytes
    ! tester run_1
    ! I look around.
    ! ✓ fs.list path=. · 6 lines · [time]
    ! Now I write what I found.
    !   approve by user:tester (flag)
    ! ✓ fs.write path=note.txt content="Write it" · replaced note.txt: 1 lines, 8 bytes · [time]
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    "#);
    assert_snapshot!(masque.steady(&exported), @r#"
    texts: verbatim
    replies:
    - text: I look around.
      calls:
      - id: call_1_1
        tool: fs.list
        arguments:
          path: '.'
      usage:
        input_tokens: 1056
        output_tokens: 17
      finish: tool_calls
    - text: Now I write what I found.
      calls:
      - id: call_2_1
        tool: fs.write
        arguments:
          content: Write it
          path: note.txt
      usage:
        input_tokens: 1091
        output_tokens: 27
      finish: tool_calls
    - text: "created note.txt: 1 lines, 8 bytes"
      usage:
        input_tokens: 1131
        output_tokens: 13
      finish: stop
    "#);
}

#[test]
fn an_export_is_the_whole_journal() {
    let masque = Masque::with_script(HELLO);
    masque.session("masque run tester -p Hello");
    let journal = masque.shell("masque runs export last");
    let types: Vec<String> = String::from_utf8(journal.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| format!("{} {}", event["seq"], event["type"].as_str().unwrap()))
        .collect();
    assert_snapshot!(types.join("\n"), @r#"
    1 run_created
    2 persona_pinned
    3 tools_pinned
    4 model_call_started
    5 model_call_finished
    6 run_completed
    "#);
}
