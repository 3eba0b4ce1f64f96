//! The programs that the tool server starts, and their end: whole process groups, and what escaped from them.
//!
//! The only place of this crate that starts a program directly: it runs inside the sandbox, where the launcher that
//! starts everything else is not at hand.

use std::{
    collections::HashSet,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::Child;

/// Rounds of ending orphans: each may leave its own children behind.
const SWEEPS: u32 = 64;

/// All programs of one tool server.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// Processes whose end somebody else awaits.
    own: Mutex<HashSet<i32>>,
    /// Calls that have a program running.
    running: Mutex<u32>,
    /// Whether orphans become children of this process.
    adopts: AtomicBool,
}

impl Processes {
    /// Makes this process the parent of every descendant that loses its own, so that a program that detached itself
    /// can still be ended. Also what is needed when this process is the first one of its namespace.
    pub(crate) fn adopt_orphans(&self) {
        let adopts = rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok();
        self.adopts.store(adopts, Ordering::Relaxed);
    }

    /// Starts `sh -c` as the leader of its own process group, without input.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn shell(self: &Arc<Self>, command: &str, directory: &Path) -> std::io::Result<(Child, Group)> {
        let mut own = lock(&self.own);
        let child = shell_command(command, directory).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        own.insert(id);
        *lock(&self.running) += 1;
        Ok((child, Group { processes: Arc::clone(self), id }))
    }

    fn ended(&self, id: i32) {
        lock(&self.own).remove(&id);
    }

    /// Ends what lost its parent, once no other call can have started it.
    fn leave(&self) {
        let mut running = lock(&self.running);
        *running = running.saturating_sub(1);
        if *running > 0 || !self.adopts.load(Ordering::Relaxed) {
            return;
        }
        let own = lock(&self.own);
        for _ in 0..SWEEPS {
            let orphans: Vec<Pid> = children().filter(|pid| !own.contains(&pid.as_raw_nonzero().get())).collect();
            if orphans.is_empty() {
                return;
            }
            for orphan in orphans {
                // Ended already, or ending: both are what is wanted.
                let _ = rustix::process::kill_process(orphan, Signal::KILL);
                let _ = rustix::process::waitpid(Some(orphan), WaitOptions::empty());
            }
        }
    }
}

/// The group of one started program. Dropping it ends every process in it.
#[derive(Debug)]
pub(crate) struct Group {
    processes: Arc<Processes>,
    id: i32,
}

impl Group {
    /// Ends every process of the group, the program itself included.
    pub(crate) fn kill(&self) {
        if let Some(group) = Pid::from_raw(self.id) {
            // No such group: all of it ended by itself.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    /// The program's end was awaited.
    pub(crate) fn ended(&self) {
        self.processes.ended(self.id);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        self.processes.leave();
    }
}

#[expect(clippy::disallowed_methods, reason = "runs inside the sandbox: the launcher is outside")]
fn shell_command(command: &str, directory: &Path) -> tokio::process::Command {
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    shell
}

/// The children of this process, as the kernel lists them by thread.
fn children() -> impl Iterator<Item = Pid> {
    let threads = fs_err::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs_err::read_to_string(thread.path().join("children")).ok());
    let ids: Vec<i32> = lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|id| id.parse().ok())
        .collect();
    ids.into_iter().filter_map(Pid::from_raw)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
