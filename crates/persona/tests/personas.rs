//! Personas on disk: what is found, who wins, and what is said about files that are wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{fmt::Write as _, path::Path, time::Duration};

use insta::{assert_json_snapshot, assert_snapshot};
use masque_persona::{Origin, Sources, load, validate_file};
use masque_types::{
    diagnostic::Severity,
    persona::McpTransport,
    policy::{Policy, ToolSelection},
};
use proptest::prelude::*;
use tempfile::TempDir;

struct Project(TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(TempDir::new().unwrap());
        files.iter().for_each(|(path, text)| project.put(path, text.as_bytes()));
        project
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.0.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn sources(&self) -> Sources {
        Sources { project: Some(self.0.path().join("project")), user: Some(self.0.path().join("user")) }
    }

    /// Diagnostics as text, with paths from the project on.
    fn shown(&self, diagnostics: &[masque_types::diagnostic::Diagnostic]) -> String {
        let root = format!("{}/", self.0.path().display());
        diagnostics.iter().fold(String::new(), |mut text, diagnostic| {
            let _ = writeln!(text, "{diagnostic}");
            text.replace(&root, "")
        })
    }
}

fn persona(front: &str) -> String {
    format!("---\nname: a\ndescription: Does things.\n{front}\n---\nYou do things.\n")
}

/// The diagnostics of one file `a.md` with this front matter, and whether the persona can be used.
fn check(front: &str) -> String {
    check_with(&persona(front), &[])
}

fn check_with(text: &str, beside: &[(&str, &str)]) -> String {
    let project = Project::new(beside);
    project.put("a.md", text.as_bytes());
    let (persona, diagnostics) = validate_file(&project.0.path().join("a.md"));
    let errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(persona.is_none(), errors, "a persona is absent exactly when there is an error");
    project.shown(&diagnostics)
}

const WHOLE: &str = r#"---
name: data-expert
description: Converts data files.
tools: [fs.read, Bash, "mcp:hdf5/*"]
mcpServers:
  hdf5: { command: uvx, args: [iowarp-mcps, hdf5], env: { LEVEL: 3, DEBUG: true }, tools: [list_*], effects: { list_keys: pure }, timeout: 30s }
masque:
  schema: masque.persona/v1
  model: { prefer: [lmstudio/qwen3-4b, openrouter/meta/llama-4], fallback_on: [unavailable, rate_limit], temperature: 0.2, max_output_tokens: 4096 }
  rules:
    - { tool: shell.exec, effect: ask }
    - { tool: "fs.write", path: "data/**", effect: allow }
  sandbox: { backend: auto, fs: { rw: ["."], ro: [/usr/share/dict], deny: [".env"] }, net: { allow: ["*"] }, limits: { memory: 2GiB, pids: 256, tmp: 64MiB } }
  budget: { usd: 0.50, tokens: 200000, steps: 40, wall: 20m }
  output: { schema: schemas/report.json }
---

You are a data engineer.
"#;

#[test]
fn every_key_arrives_in_the_persona() {
    let project = Project::new(&[
        ("data-expert.md", WHOLE),
        ("data-expert/schemas/report.json", r#"{"type": "object", "required": ["files"]}"#),
        (
            "data-expert/mcp.json",
            r#"{"mcpServers": {"web": {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}}}}"#,
        ),
    ]);
    let (persona, diagnostics) = validate_file(&project.0.path().join("data-expert.md"));
    assert_eq!(project.shown(&diagnostics), "");
    let mut persona = persona.unwrap();
    persona.source = "data-expert.md".to_owned();
    assert_json_snapshot!("every_key", persona);
}

#[test]
fn the_examples_of_the_book_are_right() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    for (page, name) in [("personas.md", "data-expert"), ("getting-started.md", "release-notes")] {
        let page = fs_err::read_to_string(book.join(page)).unwrap();
        let example = page.split("```markdown\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let file = format!("{name}.md");
        let project = Project::new(&[
            (&file, example),
            (&format!("{name}/schemas/report.json"), "{}"),
            (&format!("{name}/icon.svg"), "<svg/>"),
            (&format!("{name}/hooks/warm.sh"), "#!/bin/sh\n"),
            (&format!("{name}/hooks/guard.sh"), "#!/bin/sh\n"),
            (&format!("{name}/skills/chunking/SKILL.md"), "---\nname: chunking\ndescription: d\n---\nx\n"),
        ]);
        let (persona, diagnostics) = validate_file(&project.0.path().join(&file));
        assert_eq!(project.shown(&diagnostics), "");
        assert_eq!(persona.unwrap().name, name);
    }
}

#[test]
fn the_digest_covers_the_sibling_directory() {
    let digest = |schema: &str| {
        let project = Project::new(&[("data-expert.md", WHOLE), ("data-expert/schemas/report.json", schema)]);
        validate_file(&project.0.path().join("data-expert.md")).0.unwrap().digest
    };
    assert_eq!(digest("{}"), digest("{}"));
    assert_ne!(digest("{}"), digest(r#"{"type": "object"}"#));
}

#[test]
fn absent_is_not_empty() {
    let tools = |front: &str| {
        let project = Project::new(&[
            ("a.md", &persona(front)),
            ("a/mcp.json", r#"{"mcpServers": {"x": {"command": "x"}, "y": {"command": "y"}}}"#),
        ]);
        let persona = validate_file(&project.0.path().join("a.md")).0.unwrap();
        (persona.tools, persona.mcp_servers.into_keys().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(tools("x: 1"), (ToolSelection::Default, "x y".to_owned()));
    assert_eq!(tools("tools: []\nmcpServers: {}"), (ToolSelection::Only(vec![]), String::new()));
    assert_eq!(tools("tools:\nmcpServers:"), (ToolSelection::Only(vec![]), String::new()));
    assert_eq!(tools("mcpServers: [y]").1, "y");
    assert_eq!(tools("mcpServers: { z: { url: 'http://h/' } }").1, "x y z");
}

#[test]
fn a_file_of_claude_code_keeps_its_restrictions() {
    let text = "---\nname: reviewer\ndescription: Reviews.\ntools: Read, Grep, Bash(git diff:*, git log:*)\n\
                disallowedTools: Write, Bash(rm *)\nmodel: sonnet\ncolor: blue\nmaxTurns: 7\n---\nReview.\n";
    let project = Project::new(&[("project/.claude/agents/reviewer.md", text)]);
    let catalog = load(&project.sources());
    assert_snapshot!(project.shown(&catalog.diagnostics));
    let loaded = catalog.find("reviewer").unwrap();
    assert_eq!(loaded.origin, Origin::ProjectClaude);
    assert!(loaded.unused_keys.is_empty());
    let persona = &loaded.persona;
    assert_eq!(persona.display.color.as_deref(), Some("#3465a4"));
    assert_eq!(persona.budget.steps, Some(7));
    let policy = Policy::of(persona);
    for (tool, has) in [("fs.read", true), ("fs.search", true), ("fs.write", false), ("shell.exec", false)] {
        assert_eq!(policy.has_tool(tool, masque_types::tool::EffectClass::Once), has, "{tool}");
    }
}

#[test]
fn the_first_wins_and_a_broken_file_keeps_its_name() {
    let named = |name: &str, text: &str| format!("---\nname: {name}\ndescription: {text}\n---\n{text}\n");
    let project = Project::new(&[
        ("project/.agents/agents/writer.md", &named("writer", "project")),
        ("project/.agents/agents/zz.md", &named("writer", "second")),
        ("project/.agents/agents/engineer.md", "---\nname: [\n---\nx"),
        ("project/.agents/agents/README.md", "Not a persona."),
        ("project/.claude/agents/writer.md", &named("writer", "claude")),
        ("user/writer.md", &named("writer", "user")),
        ("user/mine.md", &named("mine", "user")),
    ]);
    let catalog = load(&project.sources());
    let seen: Vec<_> = catalog
        .personas
        .iter()
        .filter(|loaded| loaded.origin != Origin::Bundled || loaded.shadowed)
        .map(|loaded| format!("{} {} {}", loaded.persona.name, loaded.origin.name(), loaded.shadowed))
        .collect();
    assert_snapshot!(seen.join("\n"), @r"
    writer project false
    writer project true
    writer project_claude true
    mine user false
    writer user true
    engineer bundled true
    writer bundled true
    ");
    assert_snapshot!(project.shown(&catalog.diagnostics));
    assert_eq!(catalog.find("writer").unwrap().persona.description, "project");
    assert!(catalog.find("engineer").is_none(), "the bundled one must not step in for a broken file of the project");
    assert_eq!(catalog.find_broken("engineer").unwrap().origin, Origin::Project);
    assert_eq!(catalog.suggest("architekt"), Some("architect"));
    assert_eq!(catalog.suggest("poet"), None);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases: &[(&str, &str)] = &[
        ("no front matter", "You are helpful.\n"),
        ("no end", "---\nname: a\n"),
        ("bad YAML", "---\nname: a\ndescription: [one, two\n---\nx\n"),
        ("tab", "---\nname: a\nmasque:\n\tbudget: {}\n---\nx\n"),
        ("key twice", "---\nname: a\nname: b\n---\nx\n"),
        ("a list", "---\n- a\n- b\n---\nx\n"),
        ("no keys", "---\n---\n\n"),
        ("other name", "---\nname: b\ndescription: d\n---\nx\n"),
        ("bad name", "---\nname: Code Reviewer!\ndescription: d\n---\nx\n"),
        ("windows", "---\r\nname: a\r\ndescription: d\r\ncolour: red\r\n---\r\nx\r\n"),
    ];
    let mut shown = String::new();
    for (what, text) in cases {
        let _ = write!(shown, "# {what}\n{}\n", check_with(text, &[]));
    }
    assert_snapshot!(shown);
}

#[test]
fn wrong_values_are_named_one_by_one() {
    let fronts = [
        "descripton: typo",
        "tools: { bash: false }",
        "tools: [fs.raed, Bash(git *), WebSearch, 'mcp:gone/x']",
        "mcpServers: { 'a b': { command: x }, c: {}, d: { command: x, url: y }, e: { type: sse, url: 'http://x' }, f: { command: x, excludeTools: [y] } }",
        "mcpServers: { c: { command: x, env: { KEY: [hidden] }, effects: { t: sometimes }, timeout: soon } }",
        "masque: { schema: masque.persona/v9 }",
        "masque: { model: { prefer: [qwen3], fallback_on: [sometimes], temperature: 9, max_output_tokens: -1 } }",
        "masque: { rules: [{ tool: fs.write, path: './data/', effect: deny }, { tool: x, effect: alow }, { tool: 'a[', efect: deny }] }",
        "masque: { rules: [{ tool: shell.exce, effect: deny }, { tool: shell.exec, path: 'x/**', effect: deny }, { tool: WebSearch, effect: deny }, { tool: 'fs.{read,write}', effect: ask }] }",
        "disallowedTools: [NotebookEdit, Task]",
        "masque: { rules: { tool: x } }",
        "masque: { sandbox: { backend: none, fs: { rw: [../x], ro: [rel], deny: [/etc], dney: [x] }, limits: { memory: lots, wall: 3m } } }",
        "masque: { sandbox: { net: { allow: ['zenodo.org:443'] } } }",
        "masque: { budget: { usd: -1, tokens: 1.5, step: 3, wall: 20 } }",
        "masque: { output: { schema: ../../secret.json } }",
        "masque: { output: { schema: missing.json } }",
        "masque: { output: { schema: { type: objekt } } }",
        "masque: { output: { schema: { $ref: 'http://localhost/x.json' } } }",
        "masque: { secrets: [{ name: T }], display: { title: A }, hook: {} }",
        "masque: { secrets: [{ name: token, hosts: ['*.a.org'] }, { name: PATH, hosts: [a.org] }, { name: T, inject: file }, { name: E, inject: environment, hosts: [a.org] }, { host: x }, x] }",
        "masque: { secrets: [{ name: T, hosts: [a.org] }, { name: T, hosts: [b.org] }], sandbox: { net: { allow: ['https://a.org', 'b.org:0', '*'] } } }",
        "masque: { display: { icon: ../x.svg, color: blu, title: 'a\tb' }, mode: autp, callable: yes please }",
        "masque: { sandbox: { backend: contaner, container: { image: 'a b', shared: 1, runtim: x } } }",
        "masque: { sandbox: { backend: container } }",
        "masque: { hooks: { pre_tool_use: hooks/guard.sh, pre_tol_use: x } }",
        "masque: { delegate: { to: [Engineer], depth: 0, parallel: 100, grants: [fs.raed], too: x }, memory: { scopes: [all, 'room:x'], injct: 1 } }",
        "mcpServers: { a: { command: x, lazy: soon, start: late, secrets: [GONE] } }",
        "permissionMode: bypassPermissions\npermission_mode: sometimes\ncolor: 7\nmemory: lots\nprovider: openai\nmodel: gpt\nskills: [gone]\nhooks: {}",
        "description: Use when: always",
        "? [complex, key]\n: x",
        "bomb: &a [x, x]\nbig: [*a, *a, *b]",
    ];
    let mut shown = String::new();
    for front in fronts {
        let _ = write!(shown, "# {front}\n{}\n", check(front));
    }
    assert_snapshot!(shown);
}

#[test]
fn files_in_the_sibling_directory_have_their_own_places() {
    let front = persona("masque: { output: { schema: schemas/s.json } }");
    let beside = [
        ("a/mcp.json", "{\n  \"mcpServers\": {\n    \"x\": { \"comand\": \"y\" }\n  }\n}\n"),
        ("a/schemas/s.json", "{\n \"type\": \n}"),
    ];
    assert_snapshot!(check_with(&front, &beside));
}

#[test]
fn a_schema_does_not_lead_out_of_its_directory() {
    let project = Project::new(&[
        ("secret.json", "{}"),
        ("a/x", ""),
        ("a.md", &persona("masque: { output: { schema: s.json } }")),
    ]);
    std::os::unix::fs::symlink(project.0.path().join("secret.json"), project.0.path().join("a/s.json")).unwrap();
    let (persona, diagnostics) = validate_file(&project.0.path().join("a.md"));
    assert!(persona.is_none());
    assert!(project.shown(&diagnostics).contains("leads out of"), "{diagnostics:?}");
}

#[test]
fn odd_files_hide_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let project = Project::new(&[("project/.agents/agents/good.md", &persona("").replace("name: a", "name: good"))]);
    let directory = project.0.path().join("project/.agents/agents");
    project.put("project/.agents/agents/huge.md", &vec![b'x'; 10 << 20]);
    project.put("project/.agents/agents/latin.md", b"---\nname: latin\ndescription: caf\xe9\n---\nx\n");
    project.put(
        "project/.agents/agents/long.md",
        format!("---\nname: long\ndescription: d\n---\n{}", "word ".repeat(2_000)).as_bytes(),
    );
    fs_err::create_dir(directory.join("folder.md")).unwrap();
    fs_err::write(directory.join(std::ffi::OsStr::from_bytes(b"\xff\xfe.md")), "x").unwrap();
    std::os::unix::fs::symlink("nowhere.md", directory.join("dangling.md")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.join("zero.md")).unwrap();
    let catalog = load(&project.sources());
    assert!(catalog.find("good").is_some() && catalog.find("long").is_some());
    assert_snapshot!(project.shown(&catalog.diagnostics));
}

#[test]
fn a_place_without_personas_has_the_bundled_ones() {
    let catalog = load(&Sources { project: Some(Path::new("/nonexistent").into()), user: None });
    assert_eq!(catalog.personas.len(), 20);
    assert!(catalog.diagnostics.is_empty());
    let file = Project::new(&[("project/.agents", "a file"), ("user", "a file")]);
    let catalog = load(&file.sources());
    assert_eq!(catalog.personas.len(), 20);
    assert_eq!(catalog.diagnostics.len(), 2, "{:?}", catalog.diagnostics);
}

#[test]
fn a_number_of_an_mcp_timeout_is_milliseconds() {
    let project = Project::new(&[("a.md", &persona("mcpServers: { x: { command: y, timeout: 1500 } }"))]);
    let persona = validate_file(&project.0.path().join("a.md")).0.unwrap();
    let server = &persona.mcp_servers["x"];
    assert_eq!(server.timeout, Duration::from_millis(1500));
    assert!(matches!(&server.transport, McpTransport::Stdio { command, .. } if command == "y"));
}

fn front_matter_soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "name",
        "tools",
        "mcpServers",
        "masque",
        "model",
        "rules",
        "sandbox",
        "budget",
        "output",
        "schema",
        "fs",
        "net",
        "allow",
        ": ",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "*",
        "&a",
        "*a",
        "\"",
        "'",
        "---",
        "null",
        "1e400",
        "-0",
        "é",
        "\u{feff}",
        "\t",
        "!!str ",
        "|",
        ">",
        "<<: ",
        "? ",
        "#",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_give_a_value_or_diagnostics(bytes in prop::collection::vec(any::<u8>(), 0..400), soup in front_matter_soup()) {
        let project = Project::new(&[]);
        project.put("raw.md", &bytes);
        project.put("soup.md", format!("---\nname: soup\n{soup}\n---\nx\n").as_bytes());
        project.put("soup/mcp.json", soup.as_bytes());
        for file in ["raw.md", "soup.md"] {
            let (persona, diagnostics) = validate_file(&project.0.path().join(file));
            prop_assert!(persona.is_some() || diagnostics.iter().any(|found| found.severity == Severity::Error));
        }
    }
}

#[test]
fn a_project_brings_no_file_of_somewhere_else() {
    let project = Project::new(&[
        ("elsewhere/notes.md", "---\ndescription: d\n---\ncanary"),
        ("elsewhere/account.json", "{\"canary\": true}"),
        (
            "project/.agents/agents/a.md",
            "---\nname: a\ndescription: d\nskills: [diary]\nmasque: { output: { schema: account.json } }\n---\nx",
        ),
        ("project/.agents/agents/b.md", "---\nname: b\ndescription: d\nskills: [diary, shared, own]\n---\nx"),
        ("project/shared/SKILL.md", "---\ndescription: d\n---\ninside"),
        ("user/.keep", ""),
        ("elsewhere/own/SKILL.md", "---\ndescription: d\n---\nof the user"),
    ]);
    let root = project.0.path();
    let link = |target: &str, path: &str| {
        fs_err::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(root.join(target), root.join(path)).unwrap();
    };
    link("elsewhere", "project/.agents/agents/a");
    link("elsewhere/notes.md", "project/.agents/skills/diary/SKILL.md");
    link("project/shared", "project/.agents/skills/shared");
    link("elsewhere/own", "skills/own");
    let catalog = load(&project.sources());
    let said = project.shown(&catalog.diagnostics);
    assert!(catalog.find("a").is_none(), "its schema is a file of somebody else");
    let skills: Vec<_> = catalog.find("b").unwrap().persona.skills.iter().map(|skill| skill.content.as_str()).collect();
    assert_eq!(skills, ["of the user", "inside"]);
    assert_eq!(said.matches("leads out of the project").count(), 3, "{said}");
}
