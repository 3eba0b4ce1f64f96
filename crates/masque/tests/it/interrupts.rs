//! Ctrl-C and the signals of service managers.

use rustix::process::Signal;

use crate::support::{HELLO, Masque};

/// A first answer with a call, then one that does not come in the time of a test.
const SLOW: &str = r"
replies:
  - text: I look around.
    calls:
      - { tool: fs.list, arguments: { path: . } }
  - text: Too late.
    delay_ms: 600000
";

const DRIVE: [&str; 6] = ["run", "tester", "-p", "Hello", "--output", "stream-json"];

#[test]
fn ctrl_c_cancels_and_keeps_the_partial_result() {
    let masque = Masque::with_script(SLOW);
    let mut running = masque.start(&DRIVE);
    running.await_output(r#""step":2"#);
    running.signal(Signal::INT);
    let (code, _, errors) = running.end();
    assert_eq!(code, Some(130), "{errors}");
    let shown = masque.json("masque runs show last --json");
    assert_eq!(shown["run"]["status"], "cancelled");
    let last = shown["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["type"], &last["partial"]), (&"run_cancelled".into(), &"I look around.".into()));
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_the_run_can_be_resumed() {
    let mut masque = Masque::with_script(SLOW);
    let mut running = masque.start(&DRIVE);
    running.await_output(r#""step":2"#);
    // While another program writes to the database, the cancellation cannot be written down.
    let database = rusqlite::Connection::open(masque.path("home/masque.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    running.signal(Signal::INT);
    running.await_error("once more to leave at once");
    running.signal(Signal::INT);
    let (code, _, errors) = running.end();
    assert_eq!(code, Some(130), "{errors}");
    database.execute_batch("ROLLBACK").unwrap();
    masque.script(&format!("{HELLO}    repeat: 5\n"));
    let resumed = masque.json("masque runs resume last --output json");
    assert_eq!(resumed["status"], "completed", "{resumed}");
}

#[test]
fn termination_stops_the_process_and_not_the_run() {
    let mut masque = Masque::with_script(SLOW);
    let mut running = masque.start(&DRIVE);
    running.await_output(r#""step":2"#);
    running.signal(Signal::TERM);
    let (code, _, errors) = running.end();
    assert_eq!(code, Some(5), "{errors}");
    assert!(errors.contains("resume it: masque runs resume run_"), "{errors}");
    masque.script(&format!("{HELLO}    repeat: 5\n"));
    let resumed = masque.json("masque runs resume last --output json");
    assert_eq!(resumed["status"], "completed", "{resumed}");
}

#[test]
fn whoever_watches_a_run_may_leave_it() {
    let masque = Masque::with_script(SLOW);
    let mut running = masque.start(&DRIVE);
    running.await_output(r#""step":2"#);
    let mut watch = masque.start(&["runs", "watch", "last"]);
    watch.await_output("model call 2");
    watch.signal(Signal::INT);
    assert_eq!(watch.end().0, Some(0));
    let held = masque.session("masque runs resume last");
    assert!(held.contains("is being worked on by") && held.contains("[exit 3]"), "{held}");
    assert!(masque.session("masque runs cancel last").contains("cancelled"));
    assert_eq!(running.end().0, Some(130));
}
