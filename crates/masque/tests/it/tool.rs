//! `masque tool`: listing and showing tools.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn tools_are_listed_with_what_a_persona_may_do() {
    assert_snapshot!(Masque::new().session(
        "masque tool list
         masque tool list --persona tester
         masque tool list --persona nobody"
    ), @"
    $ masque tool list
    TOOL                EFFECT  PLACE    POLICY  DESCRIPTION
    agent.call          keyed   run              Asks another persona to do something and gives its result
    agent.handoff       keyed   run              Leaves the rest of the task to another persona: its answer becomes yours, and you are not …
    fs.edit             probe   sandbox          Changes a part of a text file of the workspace
    fs.glob             pure    sandbox          Finds files of the workspace by a pattern over their path: `*.rs` anywhere, `src/**/*.rs` …
    fs.list             pure    sandbox          Lists a directory of the workspace as an indented tree, sorted by name: directories end wi…
    fs.read             pure    sandbox          Reads a text file of the workspace, by default its first 2000 lines
    fs.search           pure    sandbox          Searches text in the files of the workspace with a regular expression (Rust syntax, as rip…
    fs.write            keyed   sandbox          Writes a text file of the workspace whole: makes it, or replaces its content
    human.ask           keyed   human            Asks the human who started the run and waits for the answer, which can take hours
    memory.add          keyed   host             Notes one fact for later runs: a decision, a preference, a name, a place where something i…
    memory.search       pure    host             Searches what is remembered beyond this conversation: notes, documents and summaries that …
    result.read         pure    host             Reads on in a tool result of this run that was too large to be shown whole
    shell.exec          once    sandbox          Runs a command with `sh -c` in the workspace and returns its exit code, standard output an…
    skill.use           pure    host             Gives the full instructions of one of your skills by its name
    standard.proposals  pure    host             Lists your proposals for standards in this project with their state, and for rejected ones…
    standard.propose    keyed   host             Proposes a standard for this project, or a change of one
    standard.search     pure    host             Searches the standards of this project: what its people agreed on for code, design and ope…
    web.fetch           pure    host             Fetches a public web page and returns it as Markdown; text and JSON come as they are, othe…
    $ masque tool list --persona tester
    TOOL         EFFECT  PLACE    POLICY  DESCRIPTION
    fs.list      pure    sandbox  allow   Lists a directory of the workspace as an indented tree, sorted by name: directories end wi…
    fs.read      pure    sandbox  allow   Reads a text file of the workspace, by default its first 2000 lines
    fs.write     keyed   sandbox  ask     Writes a text file of the workspace whole: makes it, or replaces its content
    human.ask    keyed   human    allow   Asks the human who started the run and waits for the answer, which can take hours
    result.read  pure    host     allow   Reads on in a tool result of this run that was too large to be shown whole
    shell.exec   once    sandbox  allow   Runs a command with `sh -c` in the workspace and returns its exit code, standard output an…
    $ masque tool list --persona nobody
    ! error: there is no persona `nobody`
    ! hint: `masque persona list` shows all personas
    [exit 2]
    ");
}

#[test]
fn a_tool_is_shown_with_its_schema() {
    assert_snapshot!(Masque::new().session(
        "masque tool show fs.list
         masque tool show fs.lst"
    ), @r#"
    $ masque tool show fs.list
    fs.list  effect pure, runs in sandbox

    Lists a directory of the workspace as an indented tree, sorted by name: directories end with `/`, files show their size in bytes, links their target. What .gitignore names and `.git` itself are left out. At most 1000 entries. Use fs.glob to find files by name.

    {
      "additionalProperties": false,
      "properties": {
        "depth": {
          "default": null,
          "description": "How many levels to show; 2 when absent.",
          "minimum": 0,
          "type": [
            "integer",
            "null"
          ]
        },
        "include_ignored": {
          "default": null,
          "description": "Whether to show files that .gitignore names too.",
          "type": [
            "boolean",
            "null"
          ]
        },
        "path": {
          "default": null,
          "description": "The directory, relative to the workspace; the workspace itself when absent.",
          "type": [
            "string",
            "null"
          ]
        }
      },
      "type": "object"
    }
    $ masque tool show fs.lst
    ! error: there is no built-in tool `fs.lst`
    ! hint: `masque tool list` shows all
    [exit 2]
    "#);
}
