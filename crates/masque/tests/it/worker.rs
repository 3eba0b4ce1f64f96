//! Runs in the background: `--detach`, `masque runs watch`, `masque worker`.

use insta::assert_snapshot;

use crate::support::{HELLO, Masque, WRITES};

#[test]
fn a_detached_run_is_watched_to_its_end() {
    let masque = Masque::with_script(HELLO);
    assert_snapshot!(masque.session(
        "masque run tester -p Hello --detach
         masque runs watch last"
    ), @r#"
    $ masque run tester -p Hello --detach
    run_1
    ! it runs in the background: masque runs watch run_1
    $ masque runs watch last
       1  [at]  created by user:tester, sandbox process
                     task: Hello
       2  [at]  persona tester ([project]/.agents/agents/tester.md, [digest])
       3  [at]  tools fs.list fs.read fs.write human.ask result.read shell.exec
       4  [at]  model call 1: 1 message, [n] tokens reserved
       5  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     Hello. There is nothing to do.
       6  [at]  completed: 1 model call, [n] tokens, $0.0000
    "#);
}

#[test]
fn a_detached_run_waits_for_an_answer_and_takes_it() {
    let masque = Masque::with_script(WRITES);
    masque.shell("masque run tester -p 'Write it' --detach");
    let mut watch = masque.start(&["runs", "watch", "last"]);
    watch.await_output("asks tool_call");
    let approved = masque.session("masque approvals approve apr_…");
    watch.await_output("completed");
    assert_eq!(watch.end().0, Some(0));
    assert_snapshot!(approved, @r#"
    $ masque approvals approve apr_…
    ! approve: apr_1
    "#);
    assert_eq!(masque.read("note.txt"), "Write it");
}

#[test]
fn a_worker_drives_what_nobody_drives() {
    let masque = Masque::with_script(WRITES);
    masque.session("masque run tester -p 'Write it'");
    assert_snapshot!(masque.session(
        "masque approvals approve apr_…
         masque worker --drain
         masque runs list
         masque worker --drain"
    ), @r#"
    $ masque approvals approve apr_…
    ! approve: apr_1
    ! nobody works on the run now: masque runs resume run_1
    $ masque worker --drain
    ! run_1: ended
    $ masque runs list
    RUN                             STATUS     PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           completed  tester   process  3      $0.0000  [s]  Write it
    $ masque worker --drain
    "#);
}
