//! What every dialect has to keep: whatever an export does not report as lost comes back, and any input gives a value or
//! a finding with a line.

use std::{collections::BTreeMap, path::Path, time::Duration};

use masque_types::{
    cost::{Limits, MicroUsd},
    persona::{
        Delegation, Display, Forms, Injection, McpServer, McpTransport, MemorySpec, ModelPreference, Persona,
        SandboxSpec, SecretGrant,
    },
    policy::{Mode, Rule, ToolSelection, Verdict},
    tool::EffectClass,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{DIALECTS, Found, OriginRecord, export, fields, import};

fn any_text() -> impl Strategy<Value = String> {
    let word = select(vec![
        "Use",
        "when: it",
        "# not",
        "é",
        "\"quoted\"",
        "it's",
        "- item",
        "{x}",
        "[y]",
        "*",
        "&a",
        "null",
        "1.5",
        "yes",
        "a\nb",
        "---",
        "|",
        "%",
        "@",
        "\\",
        "'''",
        "\"\"\"",
        "日本",
        "`tick`",
        "key: value",
        "!tag",
        "~",
        "0x10",
        "1e3",
    ]);
    vec(word, 1..6).prop_map(|words| words.join(" ").trim().to_owned())
}

fn any_tools() -> impl Strategy<Value = ToolSelection> {
    let name = select(vec![
        "fs.read",
        "fs.write",
        "fs.edit",
        "fs.list",
        "fs.glob",
        "fs.search",
        "shell.exec",
        "web.fetch",
        "human.ask",
        "agent.call",
        "mcp:one/*",
        "mcp:one/get",
        "mcp:two/put_it",
        "mcp:a_b/x",
        "fs.*",
        "*",
        "result.read",
        "Foo",
    ]);
    option::of(vec(name, 0..5)).prop_map(|names| {
        names
            .map_or(ToolSelection::Default, |names| ToolSelection::Only(names.into_iter().map(str::to_owned).collect()))
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let tool =
        select(vec!["fs.write", "fs.edit", "shell.exec", "web.fetch", "fs.*", "mcp:one/get", "mcp:one/*", "fs.read"]);
    let path = option::of(select(vec!["data/**", "src/a.rs"]));
    (tool, path, select(vec![Verdict::Allow, Verdict::Ask, Verdict::Deny])).prop_map(|(tool, path, effect)| Rule {
        path: path.filter(|_| tool.starts_with("fs.")).map(str::to_owned),
        tool: tool.to_owned(),
        effect,
    })
}

fn any_server() -> impl Strategy<Value = McpServer> {
    let texts = || proptest::collection::btree_map("[A-Z]{1,4}", any_text(), 0..3);
    let stdio = ("[a-z]{1,6}", vec(any_text(), 0..3), texts()).prop_map(|(command, args, env)| McpTransport::Stdio {
        command,
        args,
        env,
    });
    let http = texts().prop_map(|headers| McpTransport::Http { url: "https://example.org/mcp".to_owned(), headers });
    let effects =
        proptest::collection::btree_map("[a-z]{1,4}", select(vec![EffectClass::Pure, EffectClass::Once]), 0..2);
    let millis = select(vec![60_000, 1_500, 30_000]);
    let secrets = select(vec![vec![], vec!["TOKEN".to_owned()]]);
    let tools = option::of(vec("[a-z_]{1,6}", 1..3));
    let forms = select(vec![Forms::Decline, Forms::Defaults]);
    (prop_oneof![stdio, http], tools, effects, millis, any::<bool>(), secrets, forms).prop_map(
        |(transport, tools, effects, millis, lazy, secrets, forms)| McpServer {
            transport,
            tools,
            effects,
            timeout: Duration::from_millis(millis),
            lazy,
            secrets,
            forms,
        },
    )
}

fn any_servers() -> impl Strategy<Value = BTreeMap<String, McpServer>> {
    proptest::collection::btree_map(
        select(vec!["one".to_owned(), "two".to_owned(), "a_b".to_owned()]),
        any_server(),
        0..3,
    )
}

fn any_model() -> impl Strategy<Value = ModelPreference> {
    let model =
        select(vec!["openai/gpt-5", "anthropic/claude-x-1", "gemini/gemini-3", "ollama/q:1", "anthropic/other"]);
    (vec(model, 0..3), option::of(select(vec![0.0, 0.25, 1.0])), option::of(1_u32..5000)).prop_map(
        |(prefer, temperature, max_output_tokens)| ModelPreference {
            prefer: prefer.into_iter().map(|model| model.parse().unwrap()).collect(),
            fallback_on: None,
            temperature,
            max_output_tokens,
        },
    )
}

fn any_sandbox() -> impl Strategy<Value = SandboxSpec> {
    let network = select(vec![(false, vec![]), (true, vec![]), (false, vec!["api.example.org:443".to_owned()])]);
    (network, any::<bool>()).prop_map(|((network, hosts), deny)| SandboxSpec {
        network,
        hosts,
        deny: if deny { vec!["*.key".to_owned()] } else { Vec::new() },
        ..SandboxSpec::default()
    })
}

fn any_budget() -> impl Strategy<Value = Limits> {
    let wall = option::of(select(vec![30, 90, 600]));
    (option::of(1_u32..99), option::of(1_u64..9999), option::of(1_u64..900), wall).prop_map(
        |(steps, tokens, cents, wall)| Limits {
            steps,
            tokens,
            micro_usd: cents.map(|c| MicroUsd(c * 10_000)),
            wall: wall.map(Duration::from_secs),
        },
    )
}

/// Display, delegation, memory, output: (title, colour, callees, depth, scopes, schema).
type Further = (Option<String>, Option<&'static str>, Vec<&'static str>, Option<u32>, Vec<&'static str>, bool);

fn any_further() -> impl Strategy<Value = Further> {
    let scopes = select(vec![vec![], vec!["project"], vec!["private"], vec!["private", "project"]]);
    let colors = option::of(select(vec!["#cc3333", "#123456"]));
    (
        option::of("[A-Z][a-z]{1,8}( [a-z]{1,5})?"),
        colors,
        select(vec![vec![], vec!["helper"], vec!["a", "b"]]),
        option::of(1_u32..4),
        scopes,
        any::<bool>(),
    )
}

fn any_persona() -> impl Strategy<Value = Persona> {
    let front = ("[a-z][a-z0-9-]{0,10}", any_text(), any_text(), any_tools(), vec(any_rule(), 0..3));
    let modes = select(Mode::ALL.to_vec());
    let rest = (any_model(), any_servers(), any_sandbox(), any_budget(), modes, any_further());
    (front, rest).prop_map(
        |((name, description, prompt, tools, rules), (model, mcp_servers, sandbox, budget, mode, more))| {
            let (title, color, to, depth, scopes, schema) = more;
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            let uses_secret = mcp_servers.values().any(|server| !server.secrets.is_empty());
            let secret = SecretGrant { name: "TOKEN".to_owned(), inject: Injection::Environment, hosts: Vec::new() };
            Persona {
                description,
                prompt,
                tools,
                rules,
                mcp_servers,
                model,
                mode,
                sandbox,
                budget,
                secrets: if uses_secret { vec![secret] } else { Vec::new() },
                delegate: Delegation { to: texts(to), depth, ..Delegation::default() },
                memory: MemorySpec { scopes: texts(scopes), inject: None },
                display: Display { title, color: color.map(str::to_owned), icon: None },
                output_schema: schema.then(|| serde_json::json!({"type": "object", "required": ["a"]})),
                ..Persona::new(name)
            }
        },
    )
}

/// The one persona of a file that has to be right.
fn only(found: super::Import, text: &str) -> Persona {
    assert!(!found.has_errors(), "{:#?}\n{text}", found.diagnostics);
    match found.found {
        Found::Personas(mut personas) if personas.len() == 1 => personas.remove(0).persona,
        other => panic!("{other:?}\n{text}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_not_reported_as_lost_comes_back(persona in any_persona()) {
        for dialect in DIALECTS {
            let written = export(&persona, dialect, None);
            let place = dialect.place_of(&persona.name);
            let back = only(import(Path::new(&place), written.text.clone().into_bytes(), Some(dialect)), &written.text);
            let lost: Vec<&str> = written.losses.iter().map(|loss| loss.field).collect();
            for field in fields::all().filter(|field| !lost.contains(&field.name)) {
                let (before, after) = ((field.value)(&persona), (field.value)(&back));
                prop_assert_eq!(before, after, "{} of {}\n{}", field.name, dialect.id, written.text);
            }
            // A card also tells of what it does not keep, such as the form of answers.
            if dialect.id != "a2a" {
                prop_assert_eq!(&export(&back, dialect, None).text, &written.text, "{}: written twice", dialect.id);
            }
        }
    }

    #[test]
    fn any_input_gives_agents_or_a_finding_with_a_line(soup in soup(), bytes in vec(any::<u8>(), 0..300)) {
        for dialect in DIALECTS {
            for extension in dialect.extensions {
                let path = format!("agents/x.{extension}");
                let front = format!("---\n{soup}\n---\nprompt {soup}\n");
                for content in [soup.as_bytes(), front.as_bytes(), &bytes] {
                    for known in [Some(dialect), None] {
                        let result = import(Path::new(&path), content.to_vec(), known);
                        let empty = matches!(&result.found, Found::Personas(personas) if personas.is_empty());
                        prop_assert!(!empty || result.has_errors(), "{}: nothing, and no word why", dialect.id);
                        let errors = result.diagnostics.iter().filter(|d| d.severity == masque_types::diagnostic::Severity::Error);
                        prop_assert!(errors.into_iter().all(|error| error.line.is_some_and(|line| line > 0)));
                    }
                }
            }
        }
    }
}

/// Pieces of all the languages and dialects.
fn soup() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "name: ",
        "name = ",
        "\"name\": ",
        "description: ",
        "tools: ",
        "tools = ",
        "mcpServers: ",
        "[mcp_servers.x]",
        "agent",
        "developer_instructions = ",
        "instructions: ",
        "title: ",
        "extensions: ",
        "type: stdio",
        "permission: ",
        "edit: ",
        "skills",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\n",
        "  ",
        "- ",
        "\"",
        "'''",
        "\"\"\"",
        "*a",
        "&a ",
        "<<: ",
        "|\n",
        ">",
        "#",
        "---\n",
        "!!",
        "? ",
        "null",
        "true",
        "1e999",
        "-0",
        "é",
        "\u{feff}",
        "\t",
        "\0",
        "model",
        "a/b",
        "mcp",
        "=",
        "ask",
    ]);
    vec(piece, 0..50).prop_map(|pieces| pieces.concat())
}

#[test]
fn an_unedited_import_goes_back_and_an_edited_one_keeps_foreign_keys() {
    for (id, text) in [
        ("claude", "---\nname: x\ndescription: d\ntools: Read\nmodel: sonnet\nbackground: true\n---\nDo.\n"),
        (
            "codex",
            "name = 'x'\ndescription = 'd'\nnickname_candidates = ['y']\ndeveloper_instructions = 'Do.'\n[tui]\nz = 1\n",
        ),
        ("gemini", "---\nname: x\ndescription: d\nmodel: auto\n---\nDo.\n"),
        ("opencode", "---\ndescription: d\nmode: subagent\ntop_p: 0.5\n---\nDo.\n"),
        ("goose-recipe", "version: 1.0.0\ntitle: x\ndescription: d\ninstructions: Do.\nactivities: [a]\n"),
    ] {
        let dialect = super::Dialect::find(id).unwrap();
        let place = dialect.place_of("x");
        let Found::Personas(mut found) = import(Path::new(&place), text.into(), Some(dialect)).found else { panic!() };
        let mut imported = found.remove(0);
        let origin: OriginRecord = imported.origin.take().unwrap();
        assert!(!origin.kept.is_empty() && origin.whole, "{id}");
        imported.persona.description = "Edited.".to_owned();
        let written = export(&imported.persona, dialect, Some(&origin)).text;
        assert!(written.contains("Edited."), "{written}");
        let Found::Personas(again) = import(Path::new(&place), written.clone().into(), Some(dialect)).found else {
            panic!()
        };
        assert_eq!(again[0].origin.as_ref().unwrap().kept, origin.kept, "{id}\n{written}");
    }
}

#[test]
fn a_restriction_that_is_lost_is_one_of_security() {
    let persona = Persona {
        tools: ToolSelection::Only(vec!["fs.read".to_owned()]),
        rules: vec![Rule { path: Some("a/**".to_owned()), ..Rule::new("fs.write", Verdict::Deny) }],
        mode: Mode::Plan,
        budget: Limits { micro_usd: Some(MicroUsd(1)), ..Limits::default() },
        sandbox: SandboxSpec { deny: vec![".env".to_owned()], ..SandboxSpec::default() },
        ..Persona::new("x")
    };
    for dialect in DIALECTS {
        let weaker = export(&persona, dialect, None).weaker().count();
        let restricts_all = matches!(dialect.id, "agents" | "a2a");
        assert_eq!(weaker == 0, restricts_all, "{}: {weaker}", dialect.id);
        assert!(restricts_all || weaker >= 3, "{}: {weaker}", dialect.id);
    }
}
