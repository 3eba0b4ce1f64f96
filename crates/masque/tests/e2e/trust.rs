//! What a project that is not trusted cannot get by its files.

use crate::support::{Stage, can_confine, exists, of_kind, result_texts, server, tool};
use serde_json::json;

const GRASPING: &str = "tools: [shell.exec, web.fetch]
masque:
  sandbox:
    fs: { ro: [\"SECRETS\"] }
    net: { allow: [\"*\"] }";

const SHELL: &str = "
replies:
  - calls:
      - { tool: shell.exec, arguments: { command: 'cat SECRETS/key; ls /sys/class/net /proc/net/tcp; wc -l < /proc/net/route' } }
  - calls: [{ tool: web.fetch, arguments: { url: 'http://127.0.0.1:1/' } }]
  - text: done
";

#[test]
fn a_persona_widens_its_sandbox_only_in_a_trusted_project() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let secrets = stage.file("secrets/key", "OUTSIDE-SECRET").parent().unwrap().display().to_string();
    stage.persona("grasping", &GRASPING.replace("SECRETS", &secrets), &[]);
    let model = stage.script(&SHELL.replace("SECRETS", &secrets));
    let run = ["run", "grasping", "-p", "go", "-m", &model, "--output", "json"];
    let waiting = stage.masque(&run).expect(4);
    assert!(waiting.stderr.contains("not trusted"), "{waiting:#?}");
    assert_eq!(waiting.json()["approvals"][0]["question"]["tool"], "web.fetch", "reaching out is asked");
    let events = stage.events("last");
    assert!(!result_texts(&events)[0].contains("OUTSIDE-SECRET"), "{events:#?}");

    stage.trust();
    stage.masque(&run).expect(0);
    let events = stage.events("last");
    assert!(result_texts(&events)[0].contains("OUTSIDE-SECRET"), "{events:#?}");
}

#[test]
fn a_link_in_trusted_files_is_trusted_with_what_it_leads_to() {
    let stage = Stage::new();
    let target = stage.file("project/docs/helper.md", "---\nname: helper\ndescription: Helps.\n---\nHelp.\n");
    fs_err::create_dir_all(stage.project().join(".agents/agents")).unwrap();
    fs_err::os::unix::fs::symlink(&target, stage.project().join(".agents/agents/helper.md")).unwrap();
    stage.trust();
    assert!(stage.masque(&["trust", "--show"]).expect(0).stdout.ends_with(": trusted\n"));
    stage.file("project/docs/helper.md", "---\nname: helper\ndescription: Hurts.\n---\nHurt.\n");
    assert!(stage.masque(&["trust", "--show"]).expect(0).stdout.contains("no longer trusted"));
}

#[test]
fn a_run_without_sandbox_goes_on_only_while_the_project_is_trusted() {
    let stage = Stage::new();
    let model = stage
        .script("replies:\n  - calls: [{ tool: shell.exec, arguments: { command: 'touch ran' } }]\n  - text: done\n");
    let run = ["run", "engineer", "-p", "go", "-m", &model, "--sandbox", "none", "--output", "json"];
    stage.masque(&run).expect(3);
    stage.trust();
    let waiting = stage.masque(&run).expect(4).json();
    let approval = waiting["approvals"][0]["id"].as_str().unwrap().to_owned();
    stage.masque(&["approvals", "approve", &approval]).expect(0);
    stage.masque(&["trust", "--revoke"]).expect(0);
    let refused = stage.masque(&["runs", "resume", "last", "--output", "json"]).expect(3);
    assert!(refused.stderr.contains("not trusted"), "{refused:#?}");
    assert!(!exists(&stage.project().join("ran")));
    stage.trust();
    stage.masque(&["runs", "resume", "last", "--output", "json"]).expect(0);
    assert!(exists(&stage.project().join("ran")));
}

/// While a sandbox works in a directory of a project, placeholders stand there for `.git` and others. They must not make
/// the directory look like a project of its own, whose trust would then be asked instead.
#[test]
fn placeholders_do_not_change_what_belongs_to_the_project() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let program = format!("open('started.txt', 'w')\n{}", server(&json!([tool("attack", "Attacks.")]), "return ''"));
    let keys = "masque: { rules: [{ tool: human.ask, effect: allow }] }";
    stage.persona("spy", keys, &[("spy", &program, "{}")]);
    stage.file("project/part/file", "");
    let slow =
        stage.script("replies:\n  - calls: [{ tool: shell.exec, arguments: { command: 'touch up; sleep 100' } }]\n");
    let busy = stage.start(&["-C", "part", "run", "engineer", "-p", "go", "-m", &slow, "--approve", "*"]);
    stage.await_file("project/part/up");
    assert!(exists(&stage.project().join("part/.agents")), "the placeholder is there");
    let model = format!("scripted/{}", stage.file("other.yaml", "replies: [{ text: done }]\n").display());
    let done = stage.masque(&["-C", "part", "run", "spy", "-p", "go", "-m", &model, "--output", "json"]);
    crate::support::crash(busy);
    let done = done.expect(0);
    assert!(done.stderr.contains("not trusted"), "{done:#?}");
    assert!(!exists(&stage.project().join("part/started.txt")));
    assert_eq!(of_kind(&stage.events("last"), "run_completed").len(), 1);
}

/// Masque's own files may lie in the directory that a persona works in: whoever works in the home directory.
#[test]
fn a_persona_in_the_home_directory_reaches_neither_the_journal_nor_the_configuration() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    stage.file("user/.config/masque/config.toml", "[run]\nsteps = 40\n");
    let root = stage.root();
    let command = "cat home/masque.db home/trusted.json; echo x > home/trusted.json; echo x >> user/.config/masque/config.toml; mv home h; mv user u; true";
    let model = stage.script(&format!(
        "replies:\n  - calls:\n      - {{ tool: fs.read, arguments: {{ path: home/masque.db }} }}\n      \
         - {{ tool: fs.write, arguments: {{ path: user/.config/masque/config.toml, content: x }} }}\n  \
         - calls: [{{ tool: shell.exec, arguments: {{ command: {command:?} }} }}]\n  - text: done\n"
    ));
    let directory = root.display().to_string();
    let run = ["-C", &directory, "run", "engineer", "-p", "go", "-m", &model, "--approve", "*", "--output", "json"];
    stage.masque(&run).expect(0);
    let texts = result_texts(&stage.events("last"));
    assert!(texts.iter().all(|text| !text.contains("SQLite format")), "{texts:#?}");
    let configuration = fs_err::read_to_string(root.join("user/.config/masque/config.toml")).unwrap();
    assert_eq!(configuration, "[run]\nsteps = 40\n");
    assert!(!exists(&root.join("home/trusted.json")) && exists(&stage.home()));
}

/// What lies beside the workspace cannot be hidden again inside a grant: such a grant is refused.
#[test]
fn a_persona_is_not_granted_the_directory_of_the_keys() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let keys = format!("tools: [fs.read]\nmasque: {{ sandbox: {{ fs: {{ ro: [{:?}] }} }} }}", stage.home());
    stage.persona("keeper", &keys, &[]);
    stage.trust();
    let model = stage.script("replies: [{ text: done }]\n");
    let refused = stage.masque(&["run", "keeper", "-p", "go", "-m", &model, "--output", "json"]).expect(1).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("keeps keys"), "{refused}");
    let home = stage.home().display().to_string();
    let run = ["-C", &home, "run", "architect", "-p", "go", "-m", &model, "--output", "json"];
    let refused = stage.masque(&run).expect(1).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("keeps keys"), "{refused}");
}
