//! An interactive session in a real terminal: a person types, a persona answers, asks, is stopped, and the process dies.

use crate::{
    support::{Stage, can_confine, of_kind},
    terminal::{Terminal, has_tmux},
};

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
