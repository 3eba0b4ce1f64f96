//! `masque explain`: the whole table, and one decision by layers.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn decisions_are_explained_by_layer() {
    assert_snapshot!(Masque::new().session(
        "masque explain tester
         masque explain tester --tool fs.write --args '{\"path\": \"a\"}'
         masque explain tester --tool fs.write --deny 'fs.*'
         masque explain tester --tool shell.exec --mode plan
         masque explain tester --tool web.fetch --json
         masque explain tester --as-child-of architect
         masque explain tester --tool fs.write --args '{'"
    ), @r#"
    $ masque explain tester
    tester  [project]/.agents/agents/tester.md

    TOOL                EFFECT  POLICY  WHY
    fs.list             pure    allow   the persona's file lists the tool and no rule restricts it
    fs.read             pure    allow   the persona's file lists the tool and no rule restricts it
    fs.write            keyed   ask     rule: ask fs.write
    human.ask           keyed   allow   the persona's file lists the tool and no rule restricts it
    result.read         pure    allow   the persona's file lists the tool and no rule restricts it
    shell.exec          once    allow   the persona's file lists the tool and no rule restricts it
    fs.edit             probe   hidden  `fs.edit` is not among the persona's tools
    fs.glob             pure    hidden  `fs.glob` is not among the persona's tools
    fs.search           pure    hidden  `fs.search` is not among the persona's tools
    standard.proposals  pure    hidden  `standard.proposals` is not among the persona's tools
    standard.propose    keyed   hidden  `standard.propose` is not among the persona's tools
    standard.search     pure    hidden  `standard.search` is not among the persona's tools
    web.fetch           pure    hidden  `web.fetch` is not among the persona's tools

    mode     default
    sandbox  process
    writes   the workspace
    network  nothing
    limits   50 steps, [time]
    $ masque explain tester --tool fs.write --args '{"path": "a"}'
    ask fs.write for tester
    because rule: ask fs.write

    LAYER  SAYS  WHY
    rules  ask   rule: ask fs.write
    $ masque explain tester --tool fs.write --deny 'fs.*'
    deny fs.write for tester
    because ceiling of the run: deny fs.*
    the model does not see the tool at all

    LAYER    SAYS  WHY
    rules    ask   rule: ask fs.write
    ceiling  deny  ceiling of the run: deny fs.*
    $ masque explain tester --tool shell.exec --mode plan
    deny shell.exec for tester
    because mode plan: only what reads is allowed
    the model does not see the tool at all

    LAYER  SAYS   WHY
    rules  allow  the persona's file lists the tool and no rule restricts it
    mode   deny   mode plan: only what reads is allowed
    $ masque explain tester --tool web.fetch --json
    {"persona":"tester","tool":"web.fetch","effect":"pure","visible":false,"verdict":"deny","reason":"`web.fetch` is not among the persona's tools","layers":[{"layer":"tools","verdict":"deny","reason":"`web.fetch` is not among the persona's tools"},{"layer":"rules","verdict":"ask","reason":"default: what can change something or reach out is asked"},{"layer":"ceiling","verdict":"ask","reason":"ceiling of the run: ask web.fetch"}]}
    $ masque explain tester --as-child-of architect
    ! error: persona `architect` may not call `tester`: it may call engineer, codex, reviewer, security
    ! hint: `masque: { delegate: { to: [ … ] } }` in its file says whom it may call
    [exit 3]
    $ masque explain tester --tool fs.write --args '{'
    ! error: --args is not JSON: EOF while parsing an object at line 1 column 1
    ! hint: for example --args '{"path": "a.txt"}'
    [exit 2]
    "#);
}
