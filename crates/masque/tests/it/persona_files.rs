//! `masque persona new`, `edit`, `import`, `export`, `schema`.

use serde_json::Value;

use crate::support::Masque;

/// Exit code and both outputs of a line.
fn run(masque: &Masque, line: &str) -> (Option<i32>, String, String) {
    let output = masque.shell(line);
    let text = |bytes: Vec<u8>| masque.steady(&String::from_utf8(bytes).unwrap());
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_new_persona_is_written_checked_and_never_over_another() {
    let masque = Masque::new();
    let line = "masque persona new tidy --description 'Tidies: notes' --prompt 'You tidy.' --reach write";
    let (code, out, _) = run(&masque, line);
    assert_eq!((code, out.trim()), (Some(0), "[project]/.agents/agents/tidy.md"));
    let text = masque.read(".agents/agents/tidy.md");
    assert!(text.contains("effect: ask") && text.ends_with("You tidy.\n"), "{text}");
    assert!(run(&masque, "masque persona validate .agents/agents/tidy.md").1.starts_with("good"));
    let (code, _, error) = run(&masque, line);
    assert!(code == Some(3) && error.contains("there already") && error.contains("--force"), "{error}");
    assert_eq!(run(&masque, &format!("{line} --force")).0, Some(0));
    let (code, _, error) = run(&masque, "masque persona new 'Not Good' --description d --prompt p");
    assert!(code == Some(2) && error.contains("lower-case"), "{error}");
    let (code, _, error) = run(&masque, "masque persona new bare");
    assert!(code == Some(2) && error.contains("--description"), "{error}");
    let mine = run(&masque, "masque persona new mine --user --description d --prompt p").1;
    assert_eq!(mine.trim(), "[user]/.config/masque/agents/mine.md");
    let audit = run(&masque, "masque audit tail --json").1;
    assert!(audit.matches("persona.new").count() == 3, "{audit}");
}

#[test]
fn a_model_proposes_a_persona_that_is_kept_with_consent_only() {
    let answer = r#"{"description": "Counts things.", "prompt": "You count.", "tools": ["fs.read", "shell.exec"]}"#;
    let masque = Masque::with_script(&format!("replies:\n  - text: '{answer}'\n"));
    let line = "masque persona new counter --from-description 'counts things'";
    let (code, out, error) = run(&masque, line);
    assert!(code == Some(3) && out.contains("You count.") && error.contains("--yes"), "{out}{error}");
    assert!(!masque.path("project/.agents/agents/counter.md").exists());
    assert_eq!(run(&masque, &format!("{line} --yes")).0, Some(0));
    let shown = masque.json("masque persona show counter --json");
    assert_eq!(shown["rules"], serde_json::json!([{"tool": "shell.exec", "effect": "ask"}]));
    let chatty = Masque::with_script("replies:\n  - text: 'Sure!'\n");
    let (code, _, error) = run(&chatty, &format!("{line} --yes"));
    assert!(code == Some(5) && error.contains("something else"), "{error}");
}

#[test]
fn an_edit_replaces_only_with_what_is_right() {
    let mut masque = Masque::new();
    masque.set("EDITOR", "sed -i s/told/asked/");
    assert_eq!(run(&masque, "masque persona edit tester").0, Some(0));
    assert!(masque.read(".agents/agents/tester.md").contains("You do what you are asked."));
    masque.set("EDITOR", "sed -i s/effect:.ask/effekt:.ask/");
    let (code, _, error) = run(&masque, "masque persona edit tester");
    assert!(code == Some(1) && error.contains("nothing was changed"), "{error}");
    assert!(masque.read(".agents/agents/tester.md").contains("effect: ask"));
    masque.set("VISUAL", "sed -i s/Reviews/Judges/");
    assert_eq!(run(&masque, "masque persona edit reviewer").0, Some(0), "a bundled one is copied");
    assert!(masque.path("project/.agents/agents/reviewer/icon.svg").exists());
    assert!(run(&masque, "masque persona show reviewer").1.contains("(project)"));
    masque.set("VISUAL", "false");
    assert_eq!(run(&masque, "masque persona edit tester").0, Some(3));
}

#[test]
fn a_directory_is_imported_file_by_file_and_goes_back_byte_by_byte() {
    let masque = Masque::new();
    let helper = "---\r\nname: Helper One\r\ndescription: Use when: asked\r\ntools: Read, Grep\r\nmodel: sonnet\r\n---\r\nHelp.\r\n";
    masque.write("theirs/.claude/agents/helper.md", helper);
    masque.write("theirs/.claude/agents/team/helper.md", "---\nname: helper-one\ndescription: d\n---\nAnother.\n");
    masque.write("theirs/.claude/agents/broken.md", "---\nname: broken\ntools: [Read\n---\nx\n");
    masque.write("theirs/README.md", "# Agents\n");
    masque.write("theirs/.codex/agents/x.toml", "name='x'\ndescription='d'\ndeveloper_instructions='Do.'\n");
    std::os::unix::fs::symlink("..", masque.path("theirs/loop")).unwrap();
    let (code, out, error) = run(&masque, "masque persona import ../theirs --to .agents/agents --json");
    assert_eq!(code, Some(1), "{error}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let brief: Vec<String> = lines
        .iter()
        .map(|line| {
            let file = line["file"].as_str().unwrap().rsplit("theirs/").next().unwrap();
            format!("{file} {} {} {}", line["dialect"], line["name"], line["status"])
        })
        .collect();
    assert_eq!(
        brief,
        [
            r#".claude/agents/broken.md "claude" null "failed""#,
            r#".claude/agents/helper.md "claude" "helper-one" "imported""#,
            r#".claude/agents/team/helper.md "claude" "helper-one-2" "imported""#,
            r#".codex/agents/x.toml "codex" "x" "imported""#,
            r#"README.md null null "skipped""#,
        ]
    );
    assert_eq!(lines[0]["diagnostics"][0]["line"], 3);
    let (code, out, _) = run(&masque, "masque persona export helper-one --dialect claude --out back.md && cat back.md");
    assert_eq!(code, Some(0));
    assert_eq!(out.strip_prefix("back.md\n").unwrap(), helper);
    let again = run(&masque, "masque persona import ../theirs/.codex --to .agents/agents");
    assert!(again.0 == Some(0) && again.1.starts_with("unchanged"), "{again:?}");
    masque.write("theirs/.codex/agents/x.toml", "name='x'\ndescription='d'\ndeveloper_instructions='Else.'\n");
    assert_eq!(run(&masque, "masque persona import ../theirs/.codex --to .agents/agents").0, Some(1));
    assert_eq!(run(&masque, "masque persona import ../theirs/.codex --to .agents/agents --force").0, Some(0));
}

#[test]
fn an_export_never_drops_a_restriction_unless_told_to() {
    let masque = Masque::new();
    let (code, out, error) = run(&masque, "masque persona export tester --dialect gemini --out x.md");
    assert!(code == Some(3) && out.is_empty() && error.contains("masque.rules (ask)"), "{error}");
    assert!(!masque.path("project/x.md").exists());
    let (code, out, error) = run(&masque, "masque persona export tester --dialect gemini --allow-weaker");
    assert!(code == Some(0) && out.contains("tools:") && error.contains("lost (security)"), "{out}{error}");
    let json = masque.json("masque persona export tester --dialect codex --allow-weaker --json");
    assert!(json["losses"].as_array().unwrap().iter().any(|loss| loss["risk"] == "security"), "{json}");
    let (code, _, error) = run(&masque, "masque persona export tester --dialect word");
    assert!(code == Some(2) && error.contains("known: agents, letta"), "{error}");
    assert_eq!(run(&masque, "masque persona export tester --dialect mcp").1.trim(), "{\n  \"mcpServers\": {}\n}");
    let own = run(&masque, "masque persona export tester --dialect agents").1;
    assert_eq!(own, masque.read(".agents/agents/tester.md"));
}

#[test]
fn the_schema_is_printed_and_every_tool_can_be_named() {
    let masque = Masque::new();
    let schema = masque.json("masque persona schema");
    assert!(schema["properties"]["masque"].is_object());
    for tool in masque.json("masque tool list --json").as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let text = format!("---\nname: named\ndescription: d\ntools: ['{name}']\n---\nx\n");
        masque.write("project/.agents/agents/named.md", &text);
        let checked = run(&masque, "masque persona validate .agents/agents/named.md").1;
        assert!(checked.starts_with("good"), "{name}: {checked}");
    }
}
