//! `masque run`: how a run is started, shown and ended, and what is refused before it starts.

use insta::assert_snapshot;

use crate::support::{HELLO, Masque, WRITES};

#[test]
fn the_answer_goes_to_standard_output_and_everything_else_to_standard_error() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session("masque run tester -p 'Say what is here' --approve fs.write"), @r#"
    $ masque run tester -p 'Say what is here' --approve fs.write
    created note.txt: 1 lines, 16 bytes
    ! tester run_1
    ! I look around.
    ! ✓ fs.list path=. · 5 lines · [time]
    ! Now I write what I found.
    !   approve by user:tester (flag)
    ! ✓ fs.write path=note.txt content="Say what is here" · created note.txt: 1 lines, 16 bytes · [time]
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    "#);
    assert_eq!(masque.read("note.txt"), "Say what is here");
}

#[test]
fn json_is_one_object() {
    let masque = Masque::new();
    assert_snapshot!(masque.session("masque run tester -p Hello --output json"), @r#"
    $ masque run tester -p Hello --output json
    {"duration_ms":,"error":null,"output":null,"persona":"tester","run":"run_1","sandbox":"process","spend":{"input_tokens":,"micro_usd":0,"output_tokens":,"steps":1},"status":"completed","text":"Hello. There is nothing to do.","v":1}
    "#);
}

#[test]
fn stream_json_is_one_event_per_line_in_the_order_of_the_journal() {
    let masque = Masque::with_script(WRITES);
    let output = masque.shell("masque run tester -p Hello --output stream-json --approve 'fs.*'");
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let journal = masque.shell("masque runs export last");
    let journal = String::from_utf8(journal.stdout).unwrap();
    let shown = lines.lines().filter(|line| !line.contains("text_delta"));
    assert!(journal.ends_with(&shown.map(|line| format!("{line}\n")).collect::<String>()), "{journal}\n---\n{lines}");
    assert_snapshot!(types.join(" "), @r#"run_created persona_pinned tools_pinned model_call_started text_delta model_call_finished tool_call_started tool_call_finished model_call_started text_delta text_delta model_call_finished approval_requested approval_decided tool_call_started tool_call_finished model_call_started text_delta text_delta text_delta model_call_finished run_completed"#);
}

#[test]
fn standard_input_is_the_task_or_is_added_to_it() {
    let masque = Masque::with_script("replies:\n  - text: \"[{{ task }}]\"\n");
    assert_snapshot!(masque.session(
        "printf 'from a pipe' | masque run tester
         printf 'the diff' | masque run tester -p 'Review this'
         masque run tester -p 'Nothing is piped' < /dev/null"
    ), @r#"
    $ printf 'from a pipe' | masque run tester
    [from a pipe]
    ! tester run_1
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    $ printf 'the diff' | masque run tester -p 'Review this'
    [Review this
    the diff]
    ! tester run_2
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    $ masque run tester -p 'Nothing is piped' < /dev/null
    [Nothing is piped]
    ! tester run_3
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    "#);
}

#[test]
fn a_task_that_cannot_be_one_is_refused() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        r"masque run tester
         masque run tester -p ' '
         printf 'text \377 more' | masque run tester
         head -c 10485760 /dev/zero | tr '\0' a | masque run tester
         masque runs list"
    ), @r#"
    $ masque run tester
    ! error: the task is empty
    ! hint: say what to do: -p "Review this repository", or on standard input
    [exit 2]
    $ masque run tester -p ' '
    ! error: the task is empty
    ! hint: say what to do: -p "Review this repository", or on standard input
    [exit 2]
    $ printf 'text \377 more' | masque run tester
    ! error: standard input is not text: byte 5 is not UTF-8
    ! hint: name the file in the task instead; for an image use --image
    [exit 2]
    $ head -c 10485760 /dev/zero | tr '\0' a | masque run tester
    ! error: standard input is larger than 1048576 bytes
    ! hint: put the material into a file of the workspace and name the file in the task
    [exit 2]
    $ masque runs list
    RUN  STATUS  PERSONA  SANDBOX  CALLS  COST  AGE  TASK
    "#);
}

#[test]
fn what_is_missing_is_named_with_a_way_on() {
    let mut masque = Masque::new();
    masque.write("project/.agents/agents/broken.md", "---\nname: broken\ntools: [fs.read\n---\nText.\n");
    assert_snapshot!(masque.session(
        "masque run testr -p Hello
         masque run broken -p Hello
         masque run tester -p Hello --model scripted/absent.yaml
         masque run tester -p Hello --model nonsense
         masque run tester -p Hello -C absent
         masque run tester -p Hello --max-steps many"
    ), @r#"
    $ masque run testr -p Hello
    ! error: there is no persona `testr`
    ! hint: did you mean `tester`?
    ! hint: `masque persona list` shows all personas
    [exit 2]
    $ masque run broken -p Hello
    ! error: the file of persona `broken` cannot be used
    ! [project]/.agents/agents/broken.md:3:8: error: the front matter is not YAML: unclosed bracket '['
    !   hint: check indentation, quotes and brackets at this place
    ! hint: mend [project]/.agents/agents/broken.md, then check it with `masque persona validate`
    [exit 2]
    $ masque run tester -p Hello --model scripted/absent.yaml
    ! error: failed to open file `[project]/absent.yaml`: No such file or directory (os error 2)
    [exit 2]
    $ masque run tester -p Hello --model nonsense
    ! error: --model: `nonsense` is not a list of provider/model, separated by commas
    ! hint: model.default: Models to ask, first choice first: provider/model, …
    [exit 2]
    $ masque run tester -p Hello -C absent
    ! error: the workspace [project]/absent cannot be used: No such file or directory (os error 2)
    [exit 2]
    $ masque run tester -p Hello --max-steps many
    ! error: --max-steps: `many` is not a whole number or `unlimited`
    ! hint: run.steps: Model calls that a run may make
    [exit 2]
    "#);
    masque.unset("MASQUE_MODEL_DEFAULT");
    assert_snapshot!(masque.session(
        "masque run tester -p Hello
         masque run tester -p Hello --model anthropic/claude-sonnet-4-5"
    ), @r#"
    $ masque run tester -p Hello
    ! error: no model is configured, and no local model server is running
    ! hint: use a hosted model: export ANTHROPIC_API_KEY=… or masque key set anthropic, then --model anthropic/claude-sonnet-4-5
    ! hint: use a local model: start Ollama or LM Studio; it is found by itself
    ! hint: see Masque work without a model: masque demo
    [exit 3]
    $ masque run tester -p Hello --model anthropic/claude-sonnet-4-5
    ! error: none of the models can be used:
    !   anthropic/claude-sonnet-4-5: `anthropic` needs a key: set ANTHROPIC_API_KEY
    ! hint: use a hosted model: export ANTHROPIC_API_KEY=… or masque key set anthropic, then --model anthropic/claude-sonnet-4-5
    ! hint: use a local model: start Ollama or LM Studio; it is found by itself
    ! hint: see Masque work without a model: masque demo
    [exit 3]
    "#);
}

#[test]
fn an_output_schema_that_is_none_is_found_before_anything_is_asked() {
    let masque = Masque::new();
    let persona =
        |schema: &str| format!("---\nname: strict\ndescription: d\nmasque:\n  output: {schema}\n---\nText.\n");
    masque.write("project/.agents/agents/strict.md", &persona("{ schema: { type: nothing } }"));
    let first = masque.session("masque run strict -p Hello");
    masque.write("project/.agents/agents/strict.md", &persona("{ schema: absent.json }"));
    assert_snapshot!(first + &masque.session("masque run strict -p Hello"), @r#"
    $ masque run strict -p Hello
    ! error: the file of persona `strict` cannot be used
    ! [project]/.agents/agents/strict.md:5:21: error: the output schema is no JSON Schema at `/type`: "nothing" is not valid under any of the schemas listed in the 'anyOf' keyword
    !   hint: correct the schema; references to other files or addresses are not followed
    ! hint: mend [project]/.agents/agents/strict.md, then check it with `masque persona validate`
    [exit 2]
    $ masque run strict -p Hello
    ! error: the file of persona `strict` cannot be used
    ! [project]/.agents/agents/strict.md:5:21: error: the schema `absent.json` does not exist
    !   hint: check the path and the permissions
    ! hint: mend [project]/.agents/agents/strict.md, then check it with `masque persona validate`
    [exit 2]
    "#);
}

#[test]
fn an_answer_outside_its_schema_gets_one_chance_of_repair() {
    let mut masque = Masque::with_script("replies:\n  - text: It is seven.\n  - text: '{ \"count\": 7 }'\n");
    let schema = "{ type: object, required: [count], properties: { count: { type: integer } } }";
    masque.write(
        "project/.agents/agents/counter.md",
        &format!("---\nname: counter\ndescription: d\nmasque:\n  output: {{ schema: {schema} }}\n---\nText.\n"),
    );
    let repaired = masque.session("masque run counter -p Count");
    masque.script("replies:\n  - text: It is seven.\n    repeat: 9\n");
    assert_snapshot!(repaired + &masque.session("masque run counter -p Count"), @r#"
    $ masque run counter -p Count
    { "count": 7 }
    ! counter run_1
    ! the answer misses its schema, one repair: the answer is not one JSON value: expected value at line 1 column 1
    ! completed 2 model calls, [n] tokens, $0.0000, [time]
    $ masque run counter -p Count
    It is seven.
    ! counter run_1
    ! the answer misses its schema, one repair: the answer is not one JSON value: expected value at line 1 column 1
    ! failed (output): the answer does not satisfy the output schema, also after a repair: the answer is not one JSON value: expected value at line 1 column 1
    ! failed 2 model calls, [n] tokens, $0.0000, [time]
    [exit 1]
    "#);
}

#[test]
fn a_run_ends_before_it_passes_a_limit() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session(
        "masque run tester -p Hello --max-steps 1
         masque run tester -p Hello --max-tokens 100
         masque runs list --status failed"
    ), @r#"
    $ masque run tester -p Hello --max-steps 1
    I look around.
    ! tester run_1
    ! I look around.
    ! ✓ fs.list path=. · 5 lines · [time]
    ! failed (limit): the limit of 1 model calls is used up
    ! failed 1 model call, [n] tokens, $0.0000, [time]
    [exit 1]
    $ masque run tester -p Hello --max-tokens 100
    ! tester run_2
    ! failed (limit): the next model call may take [n] tokens, 0 of 100 are used
    ! failed 0 model calls, [n] tokens, $0.0000, [time]
    [exit 1]
    $ masque runs list --status failed
    RUN                             STATUS  PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_2                           failed  tester   process  0      $0.0000  [s]  Hello
    run_1                           failed  tester   process  1      $0.0000  [s]  Hello
    "#);
}

#[test]
fn a_denied_tool_is_refused_and_the_run_goes_on() {
    let masque = Masque::with_script(WRITES);
    assert_snapshot!(masque.session("masque run tester -p Hello --deny 'fs.*'"), @r#"
    $ masque run tester -p Hello --deny 'fs.*'
    There is no tool `fs.write`. Your tools: human.ask, result.read, shell.exec
    ! tester run_1
    ! I look around.
    ! ✗ fs.list path=. refused: There is no tool `fs.list`. Your tools: human.ask, result.read, shell.exec
    ! Now I write what I found.
    ! ✗ fs.write content=Hello path=note.txt refused: There is no tool `fs.write`. Your tools: human.ask, result.read, shell.exec
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    "#);
    assert!(!masque.path("project/note.txt").exists());
}

#[test]
fn a_model_that_fails_fails_the_run() {
    let masque = Masque::with_script(
        "replies:\n  - text: I begin\n    calls:\n      - { tool: fs.list, arguments: { path: . } }\n  \
         - failure: { kind: bad_request, message: the provider says no }\n",
    );
    assert_snapshot!(masque.session("masque run tester -p Hello"), @r#"
    $ masque run tester -p Hello
    I begin
    ! tester run_1
    ! I begin
    ! ✓ fs.list path=. · 5 lines · [time]
    ! scripted/[root]/script.yaml bad_request: the provider says no
    ! failed (model)
    ! failed 2 model calls, [n] tokens, $0.0000, [time]
    [exit 1]
    "#);
}

#[test]
fn names_of_files_that_are_no_text_do_no_harm() {
    let masque = Masque::with_script(WRITES);
    assert!(masque.shell(r#"touch "$(printf 'bad\377name')" "$(printf 'line\nbreak')""#).status.success());
    assert_snapshot!(masque.session(
        "masque run tester -p Hello --approve fs.write
         masque runs show last --full | sed -n '/fs.list done/,/model call 2/p'"
    ), @r#"
    $ masque run tester -p Hello --approve fs.write
    created note.txt: 1 lines, 5 bytes
    ! tester run_1
    ! I look around.
    ! ✓ fs.list path=. · 7 lines · [time]
    ! Now I write what I found.
    !   approve by user:tester (flag)
    ! ✓ fs.write content=Hello path=note.txt · created note.txt: 1 lines, 5 bytes · [time]
    ! completed 3 model calls, [n] tokens, $0.0000, [time]
    $ masque runs show last --full | sed -n '/fs.list done/,/model call 2/p'
       7  [at]  fs.list done, [time]
                     .agents/
                       agents/
                     README.md (34)
                     bad\xffname (0)
                     line\nbreak (0)
                     src/
                       main.rs (66)
       8  [at]  model call 2: 3 messages, [n] tokens reserved
    "#);
}

#[test]
fn the_architect_is_who_works_when_nobody_is_named() {
    let masque = Masque::with_script(HELLO);
    assert_snapshot!(masque.session(
        "masque run -p Hello
         masque run tester --persona tester -p Hello"
    ), @r#"
    $ masque run -p Hello
    Hello. There is nothing to do.
    ! architect run_1
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    $ masque run tester --persona tester -p Hello
    ! error: the argument '[PERSONA]' cannot be used with '--persona <PERSONA>'
    !
    ! Usage: masque run --prompt <TASK> <PERSONA>
    !
    ! For more information, try '--help'.
    [exit 2]
    "#);
}

#[test]
fn the_model_is_the_named_one_else_the_personas_else_the_configured_one() {
    let mut masque = Masque::new();
    masque.unset("MASQUE_MODEL_DEFAULT");
    let script = |name: &str| {
        masque.write(&format!("project/{name}.yaml"), &format!("replies:\n  - text: I am the {name} one.\n"))
    };
    let (configured, preferred, _) = (script("configured"), script("preferred"), script("named"));
    let config = format!("[model]\ndefault = \"scripted/{}\"\n", configured.display());
    masque.write("user/.config/masque/config.toml", &config);
    let picky = format!(
        "---\nname: picky\ndescription: Tests.\nmasque:\n  model: {{ prefer: [\"scripted/{}\"] }}\n---\nYou test.\n",
        preferred.display()
    );
    masque.write("project/.agents/agents/picky.md", &picky);
    for (line, answer) in [
        ("masque run tester -p Hello", "I am the configured one."),
        ("masque run --persona picky -p Hello", "I am the preferred one."),
        ("masque run picky -p Hello --model scripted/named.yaml", "I am the named one."),
        ("MASQUE_MODEL_DEFAULT=scripted/named.yaml masque run picky -p Hello", "I am the named one."),
    ] {
        let output = masque.shell(line);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{line}: {output:?}");
    }
}

#[test]
fn a_run_without_network_says_so_in_its_journal() {
    let masque = Masque::new();
    masque.session("masque run tester -p Hello --offline");
    let journal = String::from_utf8(masque.shell("masque runs export last").stdout).unwrap();
    assert!(
        journal.contains(r#""offline":true"#) && journal.contains(r#"{"effect":"deny","tool":"web.fetch"}"#),
        "{journal}"
    );
}
