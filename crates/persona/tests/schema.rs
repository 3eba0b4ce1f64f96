//! The JSON Schema of the front matter: in the book, and at one with the reader of persona files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use masque_persona::{bundled_files, load, schema, validate_file};
use masque_types::diagnostic::Severity;
use serde_json::{Value, json};

fn front(text: &str) -> Value {
    let yaml = text.split("---\n").nth(1).unwrap();
    serde_saphyr::from_str(yaml).unwrap()
}

fn complaints(value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether the file is to be written")]
fn the_schema_in_the_book_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/persona.schema.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs_err::write(&path, &text).unwrap();
    }
    let written = fs_err::read_to_string(&path).unwrap_or_default();
    let message = "persona.schema.json is out of date: UPDATE=1 cargo test -p masque-persona --test schema";
    assert!(serde_json::from_str::<Value>(&written).ok() == Some(schema()), "{message}");
}

#[test]
fn bundled_personas_and_the_corpus_satisfy_it() {
    for loaded in load(&masque_persona::Sources::default()).personas {
        let files = bundled_files(&loaded.persona.name).unwrap();
        assert_eq!(complaints(&front(files[0].1)), [""; 0], "{}", loaded.persona.name);
    }
    for directory in ["agents", "claude"] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(directory);
        for entry in fs_err::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = fs_err::read_to_string(&path) else { continue };
            let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
            let (persona, diagnostics) = validate_file(&path);
            let is_plain = persona.is_some() && !diagnostics.iter().any(|found| found.message.contains("not quoted"));
            if is_plain {
                assert_eq!(complaints(&front(&text)), [""; 0], "{}", path.display());
            }
        }
    }
}

/// Front matters whose structure is wrong: the reader refuses them, and so does the schema.
fn wrong() -> Vec<Value> {
    vec![
        json!({"name": "Not A Name"}),
        json!({"name": 7}),
        json!({"tools": {"bash": false}}),
        json!({"tools": [1]}),
        json!({"mcpServers": 3}),
        json!({"mcpServers": {"a": {"command": ["x"]}}}),
        json!({"mcpServers": {"a": {"command": "x", "effects": {"t": "sometimes"}}}}),
        json!({"mcpServers": {"a": {"command": "x", "timeout": "soon"}}}),
        json!({"mcpServers": {"a": {"command": "x", "start": "late"}}}),
        json!({"mcpServers": {"a": {"command": "x", "lazy": "yes"}}}),
        json!({"maxTurns": -1}),
        json!({"masque": []}),
        json!({"masque": {"schema": "masque.persona/v9"}}),
        json!({"masque": {"model": {"prefer": ["qwen3"]}}}),
        json!({"masque": {"model": {"fallback_on": ["sometimes"]}}}),
        json!({"masque": {"model": {"temperature": 9}}}),
        json!({"masque": {"model": {"max_output_tokens": -1}}}),
        json!({"masque": {"mode": "yolo"}}),
        json!({"masque": {"rules": {"tool": "fs.read"}}}),
        json!({"masque": {"rules": [{"tool": "fs.read"}]}}),
        json!({"masque": {"rules": [{"tool": "fs.read", "effect": "alow"}]}}),
        json!({"masque": {"rules": [{"tool": "fs.read", "effect": "deny", "when": "x"}]}}),
        json!({"masque": {"sandbox": {"backend": "none"}}}),
        json!({"masque": {"sandbox": {"fs": {"dney": ["x"]}}}}),
        json!({"masque": {"sandbox": {"fs": {"ro": ["relative"]}}}}),
        json!({"masque": {"sandbox": {"container": {"shared": true}}}}),
        json!({"masque": {"sandbox": {"limits": {"memory": true}}}}),
        json!({"masque": {"sandbox": {"limits": {"wall": "3m"}}}}),
        json!({"masque": {"secrets": [{"hosts": ["a.org"]}]}}),
        json!({"masque": {"secrets": [{"name": "token", "hosts": ["a.org"]}]}}),
        json!({"masque": {"secrets": [{"name": "TOKEN", "hosts": ["a.org"], "inject": "file"}]}}),
        json!({"masque": {"budget": {"step": 3}}}),
        json!({"masque": {"budget": {"tokens": 1.5}}}),
        json!({"masque": {"budget": {"wall": "20"}}}),
        json!({"masque": {"budget": {"usd": -1}}}),
        json!({"masque": {"delegate": {"to": "engineer"}}}),
        json!({"masque": {"delegate": {"depth": 0}}}),
        json!({"masque": {"delegate": {"too": []}}}),
        json!({"masque": {"memory": {"scopes": ["everything"]}}}),
        json!({"masque": {"hooks": {"pre_tool": "x"}}}),
        json!({"masque": {"callable": "yes"}}),
        json!({"masque": {"output": {"schema": 3}}}),
        json!({"masque": {"display": {"color": "#12"}}}),
    ]
}

/// What the reader says about a front matter.
fn read(front: &Value) -> Vec<masque_types::diagnostic::Diagnostic> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.md");
    let mut whole = json!({"name": "a", "description": "d"});
    whole.as_object_mut().unwrap().extend(front.as_object().unwrap().clone());
    fs_err::write(&path, format!("---\n{whole}\n---\nprompt\n")).unwrap();
    validate_file(&path).1
}

#[test]
fn what_is_structurally_wrong_is_refused_by_both() {
    for front in wrong() {
        let errors = read(&front).iter().filter(|found| found.severity == Severity::Error).count();
        assert!(errors > 0, "the reader takes {front}");
        assert!(!complaints(&front).is_empty(), "the schema takes {front}");
    }
}

/// Every key of the schema is one that the reader asks for.
#[test]
fn every_key_of_the_schema_is_known_to_the_reader() {
    let schema = schema();
    let mut count = 0;
    check_keys(&schema, &schema, &mut Vec::new(), &mut count);
    assert!(count > 70, "{count} keys");
}

fn check_keys(root: &Value, part: &Value, path: &mut Vec<String>, count: &mut usize) {
    if let Some(reference) = part["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        check_keys(root, target, path, count);
    }
    for key in ["anyOf", "oneOf"] {
        for choice in part[key].as_array().into_iter().flatten() {
            check_keys(root, choice, path, count);
        }
    }
    let inside = |path: &mut Vec<String>, step: &str, part: &Value, count: &mut usize| {
        path.push(step.to_owned());
        check_keys(root, part, path, count);
        path.pop();
    };
    if part["items"].is_object() {
        inside(path, "[]", &part["items"], count);
    }
    if part["additionalProperties"].is_object() && path.last().is_some_and(|key| key == "mcpServers") {
        inside(path, "server", &part["additionalProperties"], count);
    }
    for (key, value) in part["properties"].as_object().into_iter().flatten() {
        *count += 1;
        let front = path.iter().rev().fold(json!({ key.as_str(): null }), |inner, step| match step.as_str() {
            "[]" => json!([inner]),
            step => json!({ step: inner }),
        });
        let strange = |text: &str| text.contains("nknown key") || text.contains("has no key");
        let said = read(&front);
        assert!(!said.iter().any(|found| strange(&found.message)), "{key} in {path:?}: {said:#?}");
        inside(path, key, value, count);
    }
}
