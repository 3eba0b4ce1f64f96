//! What tools give back: large results, fetched pages, and directories that only stand for something.

use serde_json::json;

use crate::support::{Stage, can_confine, crash, of_kind, result_texts};

#[test]
fn a_large_result_is_stored_whole_and_read_on() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let large: String = (1..=5000).map(|line| format!("line {line} of the large file\n")).collect();
    stage.file("project/large.txt", &large);
    let more = "{{ results.LABEL.text | after('\"digest\": \"') | before('\"') }}";
    let model = stage.script(
        &"
replies:
  - calls:
      - { label: file, tool: fs.read, arguments: { path: large.txt, lines: 5000 } }
  - calls:
      - { label: shell, tool: shell.exec, arguments: { command: 'head -n 2500 large.txt' } }
  - calls:
      - { tool: result.read, arguments: { digest: \"FILE\", offset_line: 4000, lines: 2 } }
  - calls:
      - { tool: result.read, arguments: { digest: \"SHELL\", offset_line: 2000, lines: 2 } }
  - calls:
      - { tool: result.read, arguments: { digest: '0000000000000000000000000000000000000000000000000000000000000000' } }
  - text: done
"
        .replace("\"FILE\"", &format!("{:?}", more.replace("LABEL", "file")))
        .replace("\"SHELL\"", &format!("{:?}", more.replace("LABEL", "shell"))),
    );
    let run = ["run", "engineer", "-p", "go", "-m", &model, "--approve", "*", "--output", "json"];
    stage.masque(&run).expect(0);
    let events = stage.events("last");
    let finished = of_kind(&events, "tool_call_finished");
    for shortened in &finished[..2] {
        assert!(shortened["whole"]["bytes"].as_u64().unwrap() > 60_000, "{}", shortened["whole"]);
        assert!(shortened["content"].to_string().len() < 24 * 1024);
    }
    let texts = result_texts(&events);
    assert!(texts[2].contains("line 4000 of") || texts[2].contains("line 3999 of"), "{}", texts[2]);
    assert!(texts[3].contains("line 1999 of") || texts[3].contains("line 2000 of"), "{}", texts[3]);
    assert_eq!(finished[4]["is_error"], json!(true), "{}", finished[4]);
}

#[test]
fn pages_are_fetched_after_a_question_and_never_from_this_machine() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let addresses = [
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://localhost/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
    ];
    let calls: String =
        addresses.map(|url| format!("      - {{ tool: web.fetch, arguments: {{ url: '{url}' }} }}\n")).concat();
    let model = stage.script(&format!("replies:\n  - calls:\n{calls}  - text: done\n"));
    let run = ["run", "architect", "-p", "go", "-m", &model, "--output", "json"];
    let waiting = stage.masque(&run).expect(4).json();
    assert_eq!(waiting["approvals"].as_array().unwrap().len(), addresses.len(), "{waiting:#}");
    assert!(result_texts(&stage.events("last")).is_empty(), "nothing was fetched before the answer");
    stage.masque(&["runs", "resume", "last", "--approve", "web.fetch", "--output", "json"]).expect(0);
    let texts = result_texts(&stage.events("last"));
    assert_eq!(texts.len(), addresses.len());
    for text in texts {
        let refused = ["is not fetched", "is not accepted", "was not found"].iter().any(|words| text.contains(words));
        assert!(refused, "{text}");
    }
}

const LOOK: &str = "
replies:
  - calls: [{ tool: fs.list, arguments: { depth: 3 } }]
  - calls: [{ tool: fs.glob, arguments: { pattern: '**' } }]
  - calls: [{ tool: fs.search, arguments: { pattern: hello } }]
  - calls: [{ tool: fs.write, arguments: { path: .vscode/tasks.json, content: x } }]
  - text: done
";

#[test]
fn what_stands_for_absent_directories_is_neither_listed_nor_left() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    fs_err::remove_dir_all(stage.project().join(".git")).unwrap();
    stage.file("project/hello.txt", "hello\n");
    stage.file("project/.cursor/rules.md", "real\n");
    fs_err::create_dir(stage.project().join(".idea")).unwrap();
    let own = [".cursor", ".idea", "hello.txt"];
    let model = stage.script(LOOK);
    let run = ["run", "engineer", "-p", "go", "-m", &model, "--approve", "*", "--output", "json"];
    stage.masque(&run).expect(0);
    let texts = result_texts(&stage.events("last"));
    assert_eq!(texts[0], ".cursor/\n  rules.md (5)\n.idea/\nhello.txt (6)", "real ones are listed, empty or not");
    assert_eq!(texts[1], ".cursor/rules.md\nhello.txt");
    assert!(texts[3].contains("protected"), "{texts:#?}");
    assert_eq!(stage.project_names(), own);

    let slow = "replies:\n  - calls: [{ tool: shell.exec, arguments: { command: 'touch up; sleep 100' } }]\n";
    let slow = format!("scripted/{}", stage.file("slow.yaml", slow).display());
    let child = stage.start(&["run", "engineer", "-p", "go", "-m", &slow, "--approve", "*"]);
    stage.await_file("project/up");
    crash(child);
    stage.masque(&run).expect(0);
    assert_eq!(
        stage.project_names(),
        [".cursor", ".idea", "hello.txt", "up"],
        "the next run tidies up after a killed one"
    );
}
