//! Starts of programs while files are scarce. A test of its own, because the limit is that of the whole process.

#![expect(clippy::disallowed_methods, reason = "tests look at what is there")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]

use std::time::Duration;

use masque_sandbox::service::{ServiceCommand, ServiceEnd, raise_open_files};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are tried beyond those that are open.
const TRIED: u64 = 40;

fn shell(line: &str) -> ServiceCommand {
    let mut command = ServiceCommand::new(["/bin/sh", "-c", line], "/");
    command.environment.insert("PATH".into(), "/usr/bin:/bin".into());
    command
}

fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap()).collect()
}

fn limit(most: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) }).unwrap();
}

#[tokio::test]
async fn a_start_without_files_leaves_nothing_and_programs_keep_the_limit_of_before() {
    let own = getrlimit(Resource::Nofile).current.unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let mut failures = 0;
    for most in open..open + TRIED {
        limit(most);
        let started = shell("exec sleep 1000").start();
        limit(own);
        match started {
            Ok(process) => process.kill_tree().await.unwrap(),
            Err(_) => failures += 1,
        }
        assert_eq!(children(), "", "with {most} descriptors");
    }
    assert!((1..TRIED).contains(&failures), "{failures} failures");

    limit(256);
    raise_open_files().unwrap();
    let raised = getrlimit(Resource::Nofile);
    assert_eq!(raised.current, raised.maximum);
    let captured = shell("ulimit -Sn").run(Duration::from_secs(60), 100).await.unwrap();
    assert_eq!((captured.end, captured.output.as_slice()), (Some(ServiceEnd::Code(0)), &b"256\n"[..]));
}
