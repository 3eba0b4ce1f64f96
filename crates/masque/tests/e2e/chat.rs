//! An interactive session in a real terminal: a person types, a persona answers, asks, is stopped, and the process dies.

#![expect(clippy::disallowed_methods, reason = "the tests start the terminal that the session runs in")]

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::support::{Stage, can_confine, of_kind};

/// Guards against hanging only.
const LIMIT: Duration = Duration::from_secs(240);

/// A terminal of its own server, which ends with this.
struct Terminal<'a> {
    stage: &'a Stage,
    socket: PathBuf,
}

impl<'a> Terminal<'a> {
    /// Starts `masque` in a terminal of that size; how it ended stands on the screen afterwards.
    fn start(stage: &'a Stage, name: &str, (columns, rows): (u32, u32), arguments: &str) -> Self {
        let terminal = Self { stage, socket: stage.root().join(name) };
        let program = env!("CARGO_BIN_EXE_masque");
        // Ctrl-C reaches the shell as well.
        let line = format!("trap : INT; {program} {arguments}; echo \"[left $?]\"; exec sleep 600");
        let size = [columns.to_string(), rows.to_string()];
        terminal.tmux(&["new-session", "-d", "-x", &size[0], "-y", &size[1], "/bin/sh", "-c", &line]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        self.stage.complete(&mut command, &["-f", "/dev/null", "-S", &self.socket.display().to_string()]);
        // The locale makes wide letters wide.
        let output = command.args(arguments).env("LANG", "C.UTF-8").output().unwrap();
        assert!(output.status.success() || arguments[0] == "kill-server", "{arguments:?}: {output:?}");
        output
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
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
    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the session reads a line.
    #[track_caller]
    fn prompts(&self) -> String {
        self.until("prompt", |screen| screen.trim_end().ends_with('❯'))
    }

    /// Types a line at the prompt.
    #[track_caller]
    fn says(&self, line: &str) {
        self.prompts();
        self.types(line);
    }

    /// Types a line wherever the cursor is.
    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.presses("Enter");
    }

    fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Kills `masque` as a crash would.
    fn crash(&self) {
        let shell = self.tmux(&["list-panes", "-F", "#{pane_pid}"]).stdout;
        let shell = String::from_utf8(shell).unwrap().trim().to_owned();
        let children = fs_err::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let program: i32 = children.trim().parse().unwrap();
        let program = rustix::process::Pid::from_raw(program).unwrap();
        rustix::process::kill_process(program, rustix::process::Signal::KILL).unwrap();
        self.shows("[left 137]");
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Whether there is a terminal to test in.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_tmux() -> bool {
    let has = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(has || option_env!("CI").is_none(), "tmux is missing");
    if !has {
        eprintln!("skipped: tmux is missing");
    }
    has
}

const TESTER: &str = r#"
replies:
  - text: "Hello, **you** there."
  - calls: [{ label: note, tool: fs.write, arguments: { path: note.txt, content: "one\n" } }]
  - text: "Then: {{ results.note.text }}"
  - calls: [{ tool: shell.exec, arguments: { command: "touch up; sleep 300" } }]
  - calls: [{ tool: shell.exec, arguments: { command: "touch again; sleep 300" } }]
  - text: "After the crash."
"#;

const HELPER: &str = "replies: [{ text: 'Helped with: {{ task }}' }]\n";

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.variable("TERM", "xterm-256color");
    for (name, script) in [("tester", TESTER), ("helper", HELPER)] {
        let script = stage.file(&format!("{name}.yaml"), script);
        let keys = format!(
            "tools: [fs.write, shell.exec]\nmasque:\n  model: {{ prefer: [\"scripted/{}\"] }}\n  rules: [{{ tool: fs.write, effect: ask }}]",
            script.display()
        );
        stage.persona(name, &keys, &[]);
    }
    stage
}

/// The events of the conversation.
fn events(stage: &Stage) -> Vec<serde_json::Value> {
    let runs = stage.masque(&["runs", "list", "--json"]).expect(0).json();
    let session = runs.as_array().unwrap().iter().find(|run| run["conversation"] == true).unwrap();
    stage.events(session["id"].as_str().unwrap())
}

#[test]
fn a_session_goes_through_everything_and_survives_a_crash() {
    if !can_confine() || !has_tmux() {
        return;
    }
    let stage = stage();
    let terminal = Terminal::start(&stage, "first", (80, 24), "chat tester");
    terminal.says("hi");
    terminal.shows("Hello, **you** there.");

    // Another persona does a task in its own environment, and the session is as it was.
    terminal.says("/persona helper count the files");
    terminal.shows("Helped with: count the files");
    terminal.shows("back to tester");

    // A question in place, with what would be changed.
    terminal.says("write it");
    let question = terminal.shows("or why not:");
    assert!(question.contains("new note.txt") && question.contains("+one"), "{question}");
    terminal.types("y");
    terminal.shows("Then: created note.txt");

    // The prompt is laid out anew in a terminal of another size.
    terminal.prompts();
    terminal.resize(40, 20);
    let narrow = terminal.until("narrow prompt", |screen| {
        screen.lines().any(|line| line.starts_with("tester · default") && !line.contains("scripted"))
            && screen.trim_end().ends_with('❯')
    });
    assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    terminal.resize(80, 24);

    // Ctrl-C stops the turn, not the session.
    terminal.says("wait");
    stage.await_file("project/up");
    terminal.presses("C-c");
    terminal.shows("interrupted");

    // A crash in the middle of a call: the session goes on, and asks what became of the call.
    terminal.says("wait again");
    stage.await_file("project/again");
    terminal.crash();
    let resumed = Terminal::start(&stage, "second", (80, 24), "chat --resume");
    let doubt = resumed.shows("[h]appened");
    assert!(doubt.contains("wait again"), "its last turns are shown: {doubt}");
    resumed.types("h");
    resumed.shows("After the crash.");
    resumed.prompts();
    resumed.presses("C-d");
    resumed.shows("[left 0]");

    let events = events(&stage);
    let said: Vec<_> = of_kind(&events, "user_said").iter().map(|event| event["parts"].to_string()).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].contains("Helped with: count the files"), "the result is told: {said:#?}");
    assert_eq!(of_kind(&events, "interrupt_requested").len(), 1);
    assert_eq!(of_kind(&events, "approval_decided").len(), 2);
}

#[test]
fn personas_are_switched_and_lines_are_edited() {
    if !can_confine() || !has_tmux() {
        return;
    }
    let stage = stage();
    let terminal = Terminal::start(&stage, "terminal", (80, 24), "chat tester");
    terminal.says("hi");
    terminal.shows("Hello, **you** there.");
    terminal.says("/persona helper");
    terminal.shows("tester is parked");
    terminal.says("say something");
    terminal.shows("Helped with: say something");
    terminal.says("/persona -");
    let back = terminal.shows("back to tester");
    assert!(back.contains("❯ hi"), "the last turns are shown again: {back}");

    // The work is handed over; what was said stays, because this persona does not let it out.
    terminal.says("/handoff helper end it");
    terminal.shows("keeps its conversations to itself");
    terminal.shows("Helped with:");
    terminal.says("/persona -");
    terminal.prompts();
    terminal.says("/clear");
    terminal.shows("a new session; the one before is kept");

    // A misspelt command, Ctrl-C on a line, a completed command, a block of two lines, an earlier line.
    terminal.says("/contxt");
    terminal.shows("did you mean /context?");
    terminal.prompts();
    terminal.tmux(&["send-keys", "-l", "not this"]);
    terminal.shows("❯ not this");
    terminal.presses("C-c");
    terminal.prompts();
    terminal.tmux(&["send-keys", "-l", "/contex"]);
    terminal.shows("❯ /contex");
    terminal.presses("Tab");
    terminal.shows("❯ /context");
    terminal.presses("Enter");
    terminal.shows("nothing was said yet");
    terminal.prompts();
    terminal.presses("Up");
    terminal.shows("❯ /context");
    terminal.presses("C-c");
    terminal.prompts();

    // Twice on an empty line leaves.
    terminal.presses("C-c");
    terminal.shows("once more leaves");
    terminal.prompts();
    terminal.presses("C-c");
    terminal.shows("[left 0]");
    let history = fs_err::read_dir(stage.home().join("chat")).unwrap().next().unwrap().unwrap().path();
    let history = fs_err::read_to_string(history.join("history.txt")).unwrap();
    assert!(history.contains("/context") && !history.contains("not this"), "{history}");
}
