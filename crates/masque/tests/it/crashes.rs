//! The process dies in the middle of a call that cannot be repeated: nobody knows whether it happened, and a human
//! says.

use insta::assert_snapshot;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};

use crate::support::Masque;

/// A command that is in the middle until there is a file `second`; while it works it holds `begun` open.
const ONCE: &str = r#"
replies:
  - text: I do it.
    calls:
      - label: done
        tool: shell.exec
        arguments:
          command: "echo tried >> tries; if [ ! -e second ]; then exec 3> begun; sleep 600; fi; cat tries"
  - text: "{{ results.done.text }}"
"#;

/// Kills the program in the middle of the command, and sees that the command died with it.
fn killed_in_the_middle() -> Masque {
    let masque = Masque::with_script(ONCE);
    let begun = masque.path("project/begun");
    mknodat(CWD, &begun, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let running = masque.start(&["run", "tester", "-p", "Do it"]);
    // Opens when the command opens it too, and ends when no process of the command is left.
    let mut open_until_all_died = fs_err::File::open(&begun).unwrap();
    running.signal(Signal::KILL);
    std::io::copy(&mut open_until_all_died, &mut std::io::sink()).unwrap();
    assert_eq!(running.end().0, None);
    assert_eq!(masque.read("tries"), "tried\n");
    masque
}

#[test]
fn a_doubt_is_settled_by_saying_that_it_happened() {
    let masque = killed_in_the_middle();
    assert_snapshot!(masque.session(
        "masque runs list
         masque runs resume last
         masque runs resume last
         masque approvals list
         masque approvals show apr_…
         masque approvals approve apr_…
         masque approvals approve apr_… --happened 'it printed: tried' --resume"
    ), @r#"
    $ masque runs list
    RUN                             STATUS   PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           running  tester   process  1      $0.0000  [s]  Do it
    $ masque runs resume last
    ! tester run_1
    ! taken up after a stop in the middle
    ! ? shell.exec command="echo tried >> tries; if [ ! -e second ];…" in doubt
    ! waiting for a human:
    ! in doubt: shell.exec was interrupted; nobody knows whether it happened
    !   command: echo tried >> tries; if [ ! -e second ]; then exec 3> begun; sleep 600; fi; cat tries
    !   masque approvals approve apr_1 --happened
    !   masque approvals approve apr_1 --retry
    !   masque approvals deny apr_1
    ! then go on: masque runs resume run_1
    [exit 4]
    $ masque runs resume last
    ! tester run_1
    ! waiting for a human:
    ! in doubt: shell.exec was interrupted; nobody knows whether it happened
    !   command: echo tried >> tries; if [ ! -e second ]; then exec 3> begun; sleep 600; fi; cat tries
    !   masque approvals approve apr_1 --happened
    !   masque approvals approve apr_1 --retry
    !   masque approvals deny apr_1
    ! then go on: masque runs resume run_1
    [exit 4]
    $ masque approvals list
    APPROVAL                        KIND      RUN                             AGE  STATE  QUESTION
    apr_1                           in_doubt  run_1                           [s]  open   shell.exec command="echo tried >> tries; if [ ! -e second ];…"
    $ masque approvals show apr_…
    apr_1 (in_doubt)
    run       run_1
    call      call_1_1
    digest    [digest]
    asked     [date]

    shell.exec {
      "command": "echo tried >> tries; if [ ! -e second ]; then exec 3> begun; sleep 600; fi; cat tries"
    }
    began [date] and was interrupted: nobody knows whether it happened
    $ masque approvals approve apr_…
    ! error: `approve` does not answer apr_1
    ! hint: this question takes: approve --happened, approve --retry, or deny (gives the run up)
    [exit 2]
    $ masque approvals approve apr_… --happened 'it printed: tried' --resume
    The call was interrupted; a human confirmed that it happened. Its result: it printed: tried
    ! happened: apr_1
    ! tester run_1
    !   happened by user:tester (cli)
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    "#);
    assert_eq!(masque.read("tries"), "tried\n");
}

#[test]
fn a_doubt_is_settled_by_another_try() {
    let masque = killed_in_the_middle();
    masque.write("project/second", "");
    assert_snapshot!(masque.session(
        "masque runs resume last --output json
         masque approvals approve apr_… --retry --resume
         masque runs show last | sed -n '/recovered/,$p'"
    ), @r#"
    $ masque runs resume last --output json
    {"approvals":[{"asked_at":,"call_id":"call_1_1","digest":"[digest]","id":"apr_1","question":{"announced_at":,"arguments":{"command":"echo tried >> tries; if [ ! -e second ]; then exec 3> begun; sleep 600; fi; cat tries"},"kind":"in_doubt","tool":"shell.exec"},"run":"run_1"}],"run":"run_1","status":"waiting","type":"waiting","v":1}
    [exit 4]
    $ masque approvals approve apr_… --retry --resume
    exit code: 0
    stdout:
    tried
    tried
    ! retry: apr_1
    ! tester run_1
    !   retry by user:tester (cli)
    ! ✓ shell.exec command="echo tried >> tries; if [ ! -e second ];…" · 4 lines · [time]
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    $ masque runs show last | sed -n '/recovered/,$p'
       7  [at]  recovered after a stop in the middle
       8  [at]  shell.exec in doubt: interrupted, nobody knows
       9  [at]  asks in_doubt for shell.exec apr_1
      10  [at]  retry by user:tester (cli)
      11  [at]  shell.exec begins (once, try 2)
      12  [at]  shell.exec done, [time]
                     exit code: 0 stdout: tried tried
      13  [at]  model call 2: 3 messages, [n] tokens reserved
      14  [at]  scripted/[root]/script.yaml answered: [n] tokens, $0.0000, [time]
                     exit code: 0 stdout: tried tried
      15  [at]  completed: 2 model calls, [n] tokens, $0.0000

    tester
    exit code: 0
    stdout:
    tried
    tried
    "#);
    assert_eq!(masque.read("tries"), "tried\ntried\n");
    // What the killed process left in the workspace is gone as well.
    let mut left: Vec<_> = fs_err::read_dir(masque.path("project"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".agents", "README.md", "begun", "second", "src", "tries"]);
}

#[test]
fn a_doubt_ends_the_run_when_it_is_given_up() {
    let masque = killed_in_the_middle();
    assert_snapshot!(masque.session(
        "masque runs resume last > /dev/null 2>&1
         masque approvals deny apr_… --resume"
    ), @r#"
    $ masque runs resume last > /dev/null 2>&1
    [exit 4]
    $ masque approvals deny apr_… --resume
    I do it.
    ! abort: apr_1
    ! tester run_1
    !   abort by user:tester (cli)
    ! failed (aborted): an interrupted call was given up: nobody knows whether it happened
    ! failed 1 model call, [n] tokens, $0.0000, [time]
    [exit 1]
    "#);
}
