//! A terminal of its own for a test: what stands on the screen, and keys for it.

#![expect(clippy::disallowed_methods, reason = "the tests start the terminal that the program runs in")]

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::support::Stage;

/// Guards against hanging only.
const LIMIT: Duration = Duration::from_secs(240);

/// A terminal of its own server, which ends with this.
pub(crate) struct Terminal<'a> {
    stage: &'a Stage,
    socket: PathBuf,
}

impl<'a> Terminal<'a> {
    /// Starts `masque` in a terminal of that size; how it ended stands on the screen afterwards.
    pub(crate) fn start(stage: &'a Stage, name: &str, (columns, rows): (u32, u32), arguments: &str) -> Self {
        let terminal = Self { stage, socket: stage.root().join(name) };
        let program = env!("CARGO_BIN_EXE_masque");
        // Ctrl-C reaches the shell as well.
        let line = format!("trap : INT; {program} {arguments}; echo \"[left $?]\"; exec sleep 600");
        let size = [columns.to_string(), rows.to_string()];
        terminal.tmux(&["new-session", "-d", "-x", &size[0], "-y", &size[1], "/bin/sh", "-c", &line]);
        terminal
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        self.stage.complete(&mut command, &["-f", "/dev/null", "-S", &self.socket.display().to_string()]);
        // The locale makes wide letters wide.
        let output = command.args(arguments).env("LANG", "C.UTF-8").output().unwrap();
        assert!(output.status.success() || arguments[0] == "kill-server", "{arguments:?}: {output:?}");
        output
    }

    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(start.elapsed() < LIMIT, "no {what} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the session reads a line.
    #[track_caller]
    pub(crate) fn prompts(&self) -> String {
        self.until("prompt", |screen| screen.trim_end().ends_with('❯'))
    }

    /// Types a line at the prompt.
    #[track_caller]
    pub(crate) fn says(&self, line: &str) {
        self.prompts();
        self.types(line);
    }

    /// Types a line wherever the cursor is.
    pub(crate) fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.presses("Enter");
    }

    pub(crate) fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Kills `masque` as a crash would.
    pub(crate) fn crash(&self) {
        self.signals(rustix::process::Signal::KILL);
        self.shows("[left 137]");
    }

    /// Sends `masque` a signal.
    pub(crate) fn signals(&self, signal: rustix::process::Signal) {
        let shell = self.tmux(&["list-panes", "-F", "#{pane_pid}"]).stdout;
        let shell = String::from_utf8(shell).unwrap().trim().to_owned();
        let children = fs_err::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let program: i32 = children.trim().parse().unwrap();
        let program = rustix::process::Pid::from_raw(program).unwrap();
        rustix::process::kill_process(program, signal).unwrap();
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Whether there is a terminal to test in.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn has_tmux() -> bool {
    let has = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(has || option_env!("CI").is_none(), "tmux is missing");
    if !has {
        eprintln!("skipped: tmux is missing");
    }
    has
}
