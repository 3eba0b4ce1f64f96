//! Long-running programs: what they get, how they end, and that nothing of them is left.

#![expect(clippy::disallowed_methods, reason = "tests look at what is there")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "all of it is test code")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use masque_sandbox::{
    Error,
    service::{
        Account, Adoption, GroupLimits, Mark, Output, ProcessTable, ServiceCommand, ServiceEnd, ServiceGroups,
        ServiceProcess, find_marked, signals,
    },
};

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

fn shell(line: &str) -> ServiceCommand {
    let mut command = ServiceCommand::new(["/bin/sh", "-c", line], "/");
    command.environment.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    command
}

fn mark(of: &str) -> Mark {
    Mark { name: "MASQUE_TEST_MARK".into(), value: format!("{of}-{}", std::process::id()).into() }
}

async fn printed(command: ServiceCommand) -> String {
    let captured = command.run(GUARD, 1 << 20).await.unwrap();
    String::from_utf8(captured.output).unwrap()
}

/// Waits until a file has a line.
async fn line_of(path: &Path) -> String {
    tokio::time::timeout(GUARD, async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
    .await
    .unwrap()
}

fn is_running(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn a_program_gets_exactly_what_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    // Descriptors of this process that nobody asked for, kept when programs are executed.
    let _loose = rustix::pipe::pipe().unwrap();
    let text = "echo ready >&7; echo $(ls /proc/self/fd); umask; pwd; ulimit -n; cat /proc/self/stat; \
                cat /proc/self/oom_score_adj; grep -E 'SigBlk|SigIgn' /proc/self/status; env | sort";
    let mut command = shell(text);
    command.directory = directory.path().canonicalize().unwrap();
    command.environment = BTreeMap::from([("A".into(), "b=c".into()), ("PATH".into(), "/usr/bin:/bin".into())]);
    command.umask = 0o027;
    command.open_files = Some(99);
    command.mark = Some(mark("exact"));
    command.descriptors = vec![(writer, 7)];
    let value = mark("exact").value.into_string().unwrap();
    let path = command.directory.display().to_string();
    let text = printed(command).await;
    let lines: Vec<&str> = text.lines().collect();
    // The last one is what `ls` reads.
    assert_eq!(lines[..4], ["0 1 2 3 7", "0027", &path, "99"], "{text}");
    let fields: Vec<&str> = lines[4].split(' ').collect();
    assert_eq!(fields[4], fields[5], "its process group is its session");
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    assert_ne!(fields[5], own.split(' ').nth(5).unwrap(), "its session is its own");
    assert_eq!(lines[5..8], ["0", "SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"], "{text}");
    let environment = lines[8..].join("\n");
    assert_eq!(environment, format!("A=b=c\nMASQUE_TEST_MARK={value}\nPATH=/usr/bin:/bin\nPWD={path}"));
    let mut bytes = [0; 16];
    assert_eq!(rustix::io::read(&reader, &mut bytes[..]), Ok(6));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plain");
    std::fs::write(&file, "no program").unwrap();
    let refused = |change: &dyn Fn(&mut ServiceCommand)| {
        let mut command = shell("true");
        change(&mut command);
        let error = command.start().err().unwrap();
        error.to_string().replace(&directory.path().display().to_string(), "DIR")
    };
    let words = |word: &str| vec![OsString::from(word)];
    assert_eq!(
        refused(&|command| command.words = words("no-such-program")),
        "program `no-such-program` is not there; it was looked for in PATH, /usr/local/bin:/usr/bin:/bin"
    );
    assert!(refused(&|command| command.words = words("./absent")).starts_with("program `./absent` is not there"));
    assert!(
        refused(&|command| command.words = words(&file.to_string_lossy())).starts_with("`DIR/plain` cannot be exec")
    );
    assert!(refused(&|command| command.words.clear()).starts_with("program `` is not there"));
    assert!(
        refused(&|command| command.directory = "/absent".into()).starts_with("directory /absent cannot be entered")
    );
    let account = Account { user: "no-such-user".into(), group: None };
    assert_eq!(refused(&|command| command.account = Some(account.clone())), "this machine has no user `no-such-user`");
    let output = directory.path().join("absent/log");
    assert!(
        refused(&|command| command.output = Output::Path(output.clone())).starts_with("output DIR/absent/log cannot")
    );
    assert!(refused(&|command| command.words.push("a\0b".into())).contains("zero byte"));
}

#[tokio::test]
async fn ends_are_told_to_all_who_wait() {
    for (line, end) in [("exit 7", ServiceEnd::Code(7)), ("kill -s USR1 $$", ServiceEnd::Signal(libc::SIGUSR1))] {
        let process = shell(line).start().unwrap();
        let (one, other) = tokio::join!(process.wait(), process.wait());
        assert_eq!((one.unwrap(), other.unwrap(), process.wait().await.unwrap()), (end, end, end));
        // Its number may be another one's now.
        process.signal(libc::SIGKILL).unwrap();
    }
    let process = shell("exec sleep 1000").start().unwrap();
    process.signal(signals::number("term").unwrap()).unwrap();
    assert_eq!(process.wait().await.unwrap().to_string(), "signal TERM");
}

#[tokio::test]
async fn a_running_program_is_adopted_and_another_one_of_its_number_is_not() {
    let process = shell("exec sleep 1000").start().unwrap();
    let adoption = |start_time| Adoption { process: process.pid(), start_time, mark: None, group: None };
    let adopted = ServiceProcess::adopt(adoption(process.start_time())).unwrap();
    assert!(matches!(ServiceProcess::adopt(adoption(process.start_time() + 1)), Err(Error::Gone { .. })));
    assert_eq!(adopted.end().unwrap(), None);
    adopted.signal(libc::SIGTERM).unwrap();
    let (told, end) = tokio::join!(adopted.wait(), process.wait());
    assert_eq!(end.unwrap(), ServiceEnd::Signal(libc::SIGTERM));
    assert_eq!(told.unwrap(), if ends_are_told() { ServiceEnd::Signal(libc::SIGTERM) } else { ServiceEnd::Unknown });
    assert!(matches!(ServiceProcess::adopt(adoption(process.start_time())), Err(Error::Gone { .. })));
}

/// Whether the kernel tells how a program ended to others than its parent.
fn ends_are_told() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let numbers: Vec<u32> = release.split(['.', '-']).take(2).filter_map(|number| number.parse().ok()).collect();
    numbers >= vec![6, 15]
}

#[tokio::test]
async fn the_end_of_an_adopted_program_is_unknown_as_long_as_its_parent_does_not_bury_it() {
    let process = shell("exec sleep 1000").start().unwrap();
    let adoption = Adoption { process: process.pid(), start_time: process.start_time(), mark: None, group: None };
    let adopted = ServiceProcess::adopt(adoption).unwrap();
    process.signal(libc::SIGKILL).unwrap();
    assert_eq!(tokio::time::timeout(GUARD, adopted.wait()).await.unwrap().unwrap(), ServiceEnd::Unknown);
    assert_eq!(process.wait().await.unwrap(), ServiceEnd::Signal(libc::SIGKILL));
}

/// A program whose child leaves its session, is orphaned and ignores signals, and that itself ignores them.
async fn killed_whole(groups: &ServiceGroups, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let line = "trap '' TERM; setsid sh -c 'trap \"\" TERM HUP; echo $$ > \"$0\"; while :; do sleep 1000; done' \"$FILE\" & \
                sh -c 'sleep 1000 & sleep 1000' & wait; wait";
    let mut command = shell(line);
    command.environment.insert("FILE".into(), file.clone().into());
    command.mark = Some(mark(name));
    let (group, _) = groups.create(&format!("test-{name}-{}", std::process::id()), &GroupLimits::default()).unwrap();
    let tracked = group.tracks();
    command.group = Some(Arc::new(group));
    let process = command.start().unwrap();
    drop(command);
    let escaped: u32 = line_of(&file).await.parse().unwrap();
    let marked = find_marked(&mark(name).name).unwrap();
    let ours: Vec<_> = marked.iter().filter(|found| found.value == mark(name).value).collect();
    assert!(ours.iter().any(|found| found.process == escaped && found.is_leader));
    assert_eq!((ours[0].process, ours[0].start_time), (process.pid(), process.start_time()));
    let table = ProcessTable::read().unwrap();
    assert!(process.memory_bytes(&table) > 0);
    assert!(process.members(&table).contains(&escaped) || !tracked);
    tokio::time::timeout(GUARD, process.kill_tree()).await.unwrap().unwrap();
    assert_eq!(process.wait().await.unwrap(), ServiceEnd::Signal(libc::SIGKILL));
    let found = find_marked(&mark(name).name).unwrap();
    assert!(!found.iter().any(|found| found.value == mark(name).value), "{found:?}");
    assert!(!is_running(escaped));
    assert!(process.members(&ProcessTable::read().unwrap()).is_empty());
}

#[tokio::test]
async fn nothing_is_left_of_what_is_killed_without_control_groups() {
    killed_whole(&ServiceGroups::default(), "bare").await;
}

#[tokio::test]
async fn nothing_is_left_of_what_is_killed_with_control_groups() {
    killed_whole(&ServiceGroups::detect(), "group").await;
}

#[tokio::test]
async fn what_takes_too_long_is_killed_and_what_it_printed_is_kept() {
    let mut command = shell("echo begun; setsid sleep 1000 & sleep 1000");
    command.mark = Some(mark("slow"));
    let captured = command.run(Duration::from_millis(300), 4).await.unwrap();
    assert_eq!((captured.end, captured.output.as_slice()), (None, &b"begu"[..]));
    let found = find_marked(&mark("slow").name).unwrap();
    assert!(!found.iter().any(|found| found.value == mark("slow").value), "{found:?}");
    // One that ends leaves nothing of its session behind either, and is not awaited longer than itself.
    let mut command = shell("sleep 1000 & echo $!; exit 3");
    command.mark = Some(mark("left"));
    let captured = command.run(GUARD, 100).await.unwrap();
    assert_eq!(captured.end, Some(ServiceEnd::Code(3)));
    let left: u32 = String::from_utf8(captured.output).unwrap().trim().parse().unwrap();
    tokio::time::timeout(GUARD, async {
        while is_running(left) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

/// Whether a test's need is there; in CI it must be.
fn has(need: bool, what: &str) -> bool {
    assert!(need || std::env::var("CI").as_deref() != Ok("true"), "CI must have {what}");
    if !need {
        println!("skipped: needs {what}");
    }
    need
}

#[tokio::test]
async fn a_program_runs_as_another_user() {
    if !has(rustix::process::geteuid().is_root(), "root") {
        return;
    }
    let mut command = shell("id -u; id -g; id -G; cat /proc/self/oom_score_adj");
    command.account = Some(Account { user: "nobody".into(), group: Some("54322".into()) });
    assert_eq!(printed(command).await, "65534\n54322\n54322\n0\n");
}

#[tokio::test]
async fn limits_are_enforced_or_told() {
    let limits = GroupLimits { memory_bytes: Some(64 << 20), milli_cpus: Some(500), processes: Some(5) };
    let name = format!("test-limits-{}", std::process::id());
    let groups = ServiceGroups::detect();
    let (group, unenforced) = groups.create(&name, &limits).unwrap();
    let (none, all) = ServiceGroups::default().create(&name, &limits).unwrap();
    assert_eq!((none.tracks(), all.len()), (false, 3));
    if !has(unenforced.is_empty(), "control groups for memory, processors and processes") {
        return;
    }
    let mut command = shell("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all");
    command.group = Some(Arc::new(group));
    let process = command.start().unwrap();
    assert_ne!(process.wait().await.unwrap(), ServiceEnd::Code(0), "a shell that cannot fork gives up");
    process.kill_tree().await.unwrap();
    let group = groups.create(&name, &limits).unwrap().0;
    let mut command = shell("text=0123456789; while :; do text=$text$text; done");
    command.group = Some(Arc::new(group));
    let process = command.start().unwrap();
    drop(command);
    let end = tokio::time::timeout(GUARD, process.wait()).await.unwrap().unwrap();
    assert_eq!(end, ServiceEnd::Signal(libc::SIGKILL), "its memory is exhausted");
    assert!(groups.open(&name).is_some(), "a later supervisor finds it");
    process.kill_tree().await.unwrap();
    assert!(groups.open(&name).is_none(), "it is removed with its last process");
}

#[tokio::test]
async fn a_named_pipe_keeps_what_is_printed_while_nobody_reads() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut command = shell("echo one; read line < \"$GATE\"; echo two");
    let gate = directory.path().join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    command.environment.insert("GATE".into(), gate.clone().into());
    command.output = Output::Path(pipe.clone());
    let process = command.start().unwrap();
    // Nobody has the pipe open but the program. Then somebody comes, and reads both.
    let reader = tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(&pipe).unwrap();
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    assert_eq!(process.wait().await.unwrap(), ServiceEnd::Code(0));
    let mut bytes = [0; 64];
    let length = reader.try_read(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"one\ntwo\n");
}

#[tokio::test]
async fn starting_is_quick() {
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        let process = shell("exit 0").start().unwrap();
        times.push(begun.elapsed());
        assert_eq!(process.wait().await.unwrap(), ServiceEnd::Code(0));
    }
    times.sort();
    println!("start of a service: {:?} (median of 50)", times[25]);
}
