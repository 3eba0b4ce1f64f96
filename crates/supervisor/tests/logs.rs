//! What services print: nothing lost over the end of a supervisor, bounded in time, files and disk.

#![expect(clippy::disallowed_methods, reason = "tests look at what is there")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]

use std::{
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use masque_fleet::model::Logs;
use masque_supervisor::logs::{Capture, Line, LogSpec, read_since, read_tail};
use masque_testkit::disk::SmallDisk;
use masque_types::time::Timestamp;
use regex::bytes::Regex;

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// A clock that goes on by a second each time it is asked.
fn clock() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let now = AtomicI64::new(0);
    Arc::new(move || Timestamp(now.fetch_add(1_000, Ordering::Relaxed)))
}

fn spec(directory: &Path, rules: Logs) -> LogSpec {
    let (logs, pipes) = (directory.join("logs"), directory.join("pipes"));
    LogSpec { service: "agent".into(), logs, pipes, rules, clock: clock() }
}

fn print(capture: &Capture, text: &[u8]) {
    std::fs::File::from(capture.output().unwrap()).write_all(text).unwrap();
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(Line::text).collect()
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_printed_is_kept_told_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::open(&spec(directory.path(), Logs::default())).unwrap();
    let expected = capture.expect(Regex::new("^ready on port [0-9]+$").unwrap());
    let given_up = capture.expect(Regex::new("never").unwrap());
    drop(given_up);
    print(&capture, b"hello\r\nread");
    capture.drain().await;
    let (before, mut after) = capture.follow(10).unwrap();
    print(&capture, b"ready on port 5570\nnot \xff text");
    let line = tokio::time::timeout(GUARD, expected).await.unwrap().unwrap();
    assert_eq!(line.text(), "ready on port 5570");
    capture.drain().await;
    assert_eq!(texts(&before), ["hello", "read"], "what has no end is a line at a drain");
    assert_eq!(after.recv().await.unwrap().text(), "ready on port 5570");
    assert_eq!(after.recv().await.unwrap().text(), "not \\xff text");
    let lines = capture.tail(3).unwrap();
    assert_eq!(texts(&lines), ["read", "ready on port 5570", "not \\xff text"]);
    assert_eq!(capture.since(lines[1].at, 1).unwrap(), lines[1..2]);
    capture.close().await;
    assert_eq!(read_tail(&directory.path().join("logs"), "agent", 2).unwrap(), lines[1..]);
    assert_eq!(read_tail(&directory.path().join("logs"), "other", 2).unwrap(), []);
}

#[tokio::test]
async fn a_pipe_held_by_its_writer_outlives_the_reader() {
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::open(&spec(directory.path(), Logs::default())).unwrap();
    let mut writer = std::fs::File::from(capture.output().unwrap());
    writer.write_all(b"one\n").unwrap();
    // As when the supervisor is killed: nothing is drained.
    drop(capture);
    writer.write_all(b"two\n").unwrap();
    let capture = Capture::open(&spec(directory.path(), Logs::default())).unwrap();
    writer.write_all(b"three\n").unwrap();
    capture.drain().await;
    assert_eq!(texts(&capture.tail(9).unwrap()), ["one", "two", "three"]);
    capture.close().await;
}

#[tokio::test]
async fn files_are_closed_packed_and_removed_and_read_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let rules = Logs { rotate_bytes: 300, keep: 2, budget_bytes: None };
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    // An earlier supervisor was killed before it had packed this one.
    std::fs::write(logs.join("agent.log.4"), "1970-01-01T00:00:00.000Z 0\n").unwrap();
    let capture = Capture::open(&spec(directory.path(), rules)).unwrap();
    for number in 1..=40 {
        print(&capture, format!("{number}\n").as_bytes());
        capture.drain().await;
    }
    let lines = texts(&capture.tail(15).unwrap());
    assert_eq!(lines, (26..=40).map(|number| number.to_string()).collect::<Vec<_>>());
    capture.close().await;
    let names = files(&logs);
    assert!(names.len() == 3 && names[0] == "agent.log", "{names:?}");
    assert!(names[1..].iter().all(|name| name.ends_with(".zst")), "{names:?}");
    let kept = read_since(&logs, "agent", Timestamp(0), 100).unwrap();
    assert_eq!(texts(&kept[kept.len() - 15..]), lines);
    let part = read_since(&logs, "agent", kept[3].at, 2).unwrap();
    assert_eq!(part, kept[3..5]);
}

#[tokio::test]
async fn what_is_above_the_budget_is_dropped_counted_and_told_but_heard() {
    let directory = tempfile::tempdir().unwrap();
    let rules = Logs { budget_bytes: Some(40), ..Logs::default() };
    let capture = Capture::open(&spec(directory.path(), rules)).unwrap();
    let expected = capture.expect(Regex::new("^number 19$").unwrap());
    let text: String = (0..20).map(|number| format!("number {number}\n")).collect();
    print(&capture, text.as_bytes());
    capture.drain().await;
    tokio::time::timeout(GUARD, expected).await.unwrap().unwrap();
    let lines = texts(&capture.tail(30).unwrap());
    let last = lines.last().unwrap();
    assert_eq!(lines[..4], ["number 0", "number 1", "number 2", "number 3"]);
    let dropped = capture.dropped_bytes();
    assert_eq!(dropped, text.len() as u64 - 4 * 9);
    let expected =
        format!("masque: 16 lines ({dropped} bytes) were dropped: more was printed than is kept each second");
    assert_eq!((last, lines.len()), (&expected, 5));
    capture.close().await;
}

#[tokio::test]
async fn a_very_long_line_and_a_hole_in_the_directory_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::open(&spec(directory.path(), Logs::default())).unwrap();
    let long = vec![b'x'; 100_000];
    print(&capture, &long);
    capture.drain().await;
    let lines = capture.tail(100).unwrap();
    assert!(lines.len() > 1 && lines.iter().all(|line| line.bytes.len() <= 16 << 10));
    assert_eq!(lines.iter().map(|line| line.bytes.len()).sum::<usize>(), long.len());
    // Somebody removes the file: the next line is in a new one.
    std::fs::remove_file(directory.path().join("logs/agent.log")).unwrap();
    print(&capture, b"again\n");
    capture.drain().await;
    assert_eq!(texts(&capture.tail(9).unwrap()), ["again"]);
    capture.close().await;
    let taken = directory.path().join("pipes/agent");
    std::fs::remove_file(&taken).unwrap();
    std::fs::write(&taken, "").unwrap();
    let error = Capture::open(&spec(directory.path(), Logs::default())).err().unwrap().to_string();
    assert!(error.ends_with("agent: expected a named pipe; remove what is there"), "{error}");
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_never_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let Some(_disk) = SmallDisk::mount_on(&logs, 64 << 10) else { return };
    let ballast = logs.join("ballast");
    std::fs::write(&ballast, vec![0; 40 << 10]).unwrap();
    let capture = Capture::open(&spec(directory.path(), Logs::default())).unwrap();
    let mut writer = std::fs::File::from(capture.output().unwrap());
    let flood = tokio::task::spawn_blocking(move || {
        for number in 0..20_000 {
            writeln!(writer, "line {number}").unwrap();
        }
        writer
    });
    let mut writer = tokio::time::timeout(GUARD, flood).await.unwrap().unwrap();
    capture.drain().await;
    assert!(capture.dropped_bytes() > 0);
    std::fs::remove_file(ballast).unwrap();
    writer.write_all(b"room again\n").unwrap();
    capture.drain().await;
    let lines = texts(&capture.tail(2).unwrap());
    assert!(lines[0].starts_with("masque: ") && lines[0].contains("were lost: No space left on device"), "{lines:?}");
    assert_eq!(lines[1], "room again");
    capture.close().await;
}

#[tokio::test]
async fn other_rules_hold_from_now_on() {
    let directory = tempfile::tempdir().unwrap();
    let rules = Logs { budget_bytes: Some(10), ..Logs::default() };
    let capture = Capture::open(&spec(directory.path(), rules)).unwrap();
    print(&capture, b"first\nmuch too long to be kept\n");
    capture.drain().await;
    capture.keep(Logs { rotate_bytes: 1, keep: 1, budget_bytes: None });
    for _ in 0..4 {
        print(&capture, b"this line is much too long to be kept\n");
        capture.drain().await;
    }
    let lines = texts(&capture.tail(1).unwrap());
    assert_eq!(lines, ["this line is much too long to be kept"]);
    capture.close().await;
    assert_eq!(files(&directory.path().join("logs")).len(), 2, "the open one and one that is closed");
}
