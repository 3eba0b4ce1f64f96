//! Orphans are buried, and the ends of services are not taken from them. A test of its own, because it is about all
//! children of the process.

#![expect(clippy::disallowed_methods, reason = "tests look at what is there")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code")]

use std::time::Duration;

use masque_sandbox::service::{Reaper, ServiceCommand, ServiceEnd};

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// Set where the test runs in a namespace of its own.
const INSIDE: &str = "MASQUE_TEST_INSIDE";

fn children() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path.join("children")).unwrap_or_default();
    let lists: Vec<String> = threads.flatten().map(|thread| read(thread.path())).collect();
    lists.iter().flat_map(|list| list.split_whitespace().map(str::to_owned)).collect()
}

#[tokio::test]
async fn orphans_are_buried_and_services_keep_their_ends() {
    let reaper = Reaper::start().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(reaper.run());
    let mut services = Vec::new();
    for code in 0..20 {
        let line = format!("(sleep 0.05 & setsid sleep 0.05 &) ; exit {code}");
        let mut command = ServiceCommand::new(["/bin/sh", "-c", &line], "/");
        command.environment.insert("PATH".into(), "/usr/bin:/bin".into());
        services.push((code, command.start().unwrap()));
    }
    tokio::time::timeout(GUARD, async {
        // All that is left when every orphan is buried are the services, which nobody has awaited yet.
        while children().len() != services.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    for (code, service) in services {
        assert_eq!(service.wait().await.unwrap(), ServiceEnd::Code(code));
    }
    assert!(children().is_empty());
    tasks.shutdown().await;
    if std::env::var_os(INSIDE).is_none() {
        the_same_in_a_namespace_of_processes();
    }
}

/// As in a container whose first process began no session: its session lies outside, and has no number inside.
fn the_same_in_a_namespace_of_processes() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may make a namespace of processes alone");
        return;
    }
    let mut test = std::process::Command::new("unshare");
    test.args(["--pid", "--fork", "--mount-proc", "--"]).arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
    let output = test.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
