//! Scripted models: templates over real results, errors that name their place, steps.

use std::sync::Arc;

use masque_gateway::scripted::ScriptedModel;
use masque_types::{
    message::{AssistantMessage, Message, Part, ToolMessage},
    model::{FailureKind, FinishReason, Model, ModelReply, ModelRequest},
};
use serde_json::json;

use crate::support::request;

async fn ask(script: &ScriptedModel, request: &ModelRequest) -> Result<ModelReply, String> {
    script.call(request, &|_| {}).await.map_err(|error| error.to_string())
}

/// Plays a script to its end; each call is answered by what `tool` gives.
async fn play(yaml: &str, tool: impl Fn(&str, &serde_json::Value) -> (String, bool)) -> Vec<AssistantMessage> {
    let script = ScriptedModel::from_yaml(yaml, "test").unwrap();
    let mut request = request(&["scripted/test"]);
    let mut said = Vec::new();
    loop {
        let reply = ask(&script, &request).await.unwrap();
        said.push(reply.message.clone());
        if reply.finish != FinishReason::ToolCalls {
            return said;
        }
        request.step += 1;
        for call in &reply.message.calls {
            let (text, is_error) = tool(&call.tool, &call.arguments);
            let content = vec![Part::text(text)];
            let result = ToolMessage { call_id: call.id.clone(), tool: call.tool.clone(), content, is_error };
            request.messages.push(Arc::new(Message::Tool(result)));
        }
    }
}

const REVIEW: &str = r#"
replies:
  - text: "Task: {{ task }}"
    calls:
      - { label: files, tool: fs.list, arguments: { path: ".", depth: 2 } }
      - { label: todos, tool: fs.search, arguments: { pattern: TODO } }
  - calls:
      - label: first
        tool: fs.read
        arguments:
          path: "{{ results.files.lines | first }}"
          ranges: [1, "{{ step }}"]
  - text: |
      {% for line in results.todos.lines | containing("TODO") -%}
      - {{ line | before(":") }} says {{ line | after("TODO ") }}
      {% endfor -%}
      {% if results.first.is_error %}Not read: {{ results.first.text }}{% endif %}
      {%- if results.missing %}never{% endif %}
"#;

#[tokio::test]
async fn a_script_builds_its_report_from_what_the_tools_found() {
    let said = play(REVIEW, |tool, arguments| match tool {
        "fs.list" => ("src/lib.rs\nsrc/main.rs".to_owned(), false),
        "fs.search" => {
            ("src/main.rs:3: // TODO tidy\nREADME.md:9: nothing\nsrc/lib.rs:7: TODO {{ test }}".to_owned(), false)
        }
        _ => (format!("no {}", arguments["path"]), true),
    })
    .await;
    assert_eq!(said[0].text, "Task: Read them.");
    assert_eq!(said[0].calls[0].arguments, json!({ "path": ".", "depth": 2 }));
    assert_eq!(said[1].calls[0].arguments, json!({ "path": "src/lib.rs", "ranges": [1, "2"] }));
    let expected = "- src/main.rs says tidy\n- src/lib.rs says {{ test }}\nNot read: no \"src/lib.rs\"";
    assert_eq!(said[2].text.trim_end(), expected, "results are not rendered again");
}

#[tokio::test]
async fn the_step_chooses_the_reply() {
    let yaml = "replies:\n  - { text: a, repeat: 3 }\n  - { text: b, finish: length, delay_ms: 1 }\n";
    let script = ScriptedModel::from_yaml(yaml, "steps").unwrap();
    let mut request = request(&["scripted/steps"]);
    let mut said = String::new();
    for step in [1, 3, 4, 2] {
        request.step = step;
        said.push_str(&ask(&script, &request).await.unwrap().message.text);
    }
    assert_eq!(said, "aaba");
    request.step = 5;
    let error = ask(&script, &request).await.unwrap_err();
    assert!(error.contains("steps answers 4 steps, and the run asks for step 5"), "{error}");
}

#[tokio::test]
async fn errors_name_file_line_and_field() {
    let error = |yaml: &str| ScriptedModel::from_yaml(yaml, "demo.yaml").err().unwrap().to_string();
    let unknown = error("replies:\n  - text: a\n    tol: b\n");
    assert!(unknown.starts_with("demo.yaml:3: ") && unknown.contains("tol"), "{unknown}");
    let syntax = error("replies:\n  - text: \"a\n");
    assert!(syntax.starts_with("demo.yaml:"), "{syntax}");
    let template = error("replies:\n  - text: fine\n  - text: '{{ oh'\n");
    assert!(template.starts_with("demo.yaml: reply 2, text: "), "{template}");
    let argument = error("replies:\n  - calls: [{ tool: t, arguments: { a: { b: '{% if %}' } } }]\n");
    assert!(argument.starts_with("demo.yaml: reply 1, call 1, arguments.a.b: "), "{argument}");
    assert!(error("replies: []").contains("at least one reply"));
    let doubled = error("replies: [{ repeat: 2, calls: [{ id: x, tool: t }] }]");
    assert!(doubled.contains("reply 1, repeat: must be 1"), "{doubled}");
    assert!(error("replies: [{ text: a, repeat: 0 }]").contains("reply 1, repeat"));

    let script = ScriptedModel::from_yaml("replies: [{ text: '{{ results.gone.text }}' }]", "demo.yaml").unwrap();
    let run_time = script.call(&request(&["scripted/x"]), &|_| {}).await.unwrap_err();
    assert_eq!(run_time.failure.kind, FailureKind::BadRequest);
    assert!(run_time.to_string().contains("demo.yaml, reply 1, text: line 1"), "{run_time}");
}
