//! `masque demo`: the whole of a run, without model, key or network.
//!
//! Its calls are made at the same time, so what depends on which of them ends first is sorted or left out.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn the_demonstration_reviews_the_directory() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque demo --approve 2> ../progress | sed '/^Timeline/,/^$/d'
         sort ../progress
         masque runs show last | sed -n '/model call 3/,$p'"
    ), @r##"
    $ masque demo --approve 2> ../progress | sed '/^Timeline/,/^$/d'
    I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished
    work, 0 places where an error may be swallowed or end the program.

    First mark: src/main.rs:2:     // TODO: greet somebody.

    Next
    the report:          [project]/masque-review.md
    the whole run:       masque runs show run_1
    on a real model:     set ANTHROPIC_API_KEY, or start Ollama; then masque run architect -p "Review this repository"
    $ sort ../progress
      approve by user:tester (flag)
    I have what the report needs.
    I look at what is here, and for marks of unfinished work.
    Now the first document, and the places where an error may be swallowed or end the program.
    architect run_1
    completed 4 model calls, [n] tokens, $0.0000, [time]
    ✓ fs.glob pattern=**/*.md · 2 lines · [time]
    ✓ fs.list path=. depth=2 · 5 lines · [time]
    ✓ fs.read lines=20 path=README.md · 3 lines · [time]
    ✓ fs.search pattern="\.unwrap\(\)|except:|catch *\(|\beval\(" · [no match; try ignore_case, a shorter pattern, or include_ignored] · [time]
    ✓ fs.search pattern=(//|#|--|/\*)\s*(TODO|FIXME|HACK)\b · src/main.rs:2: // TODO: greet somebody. · [time]
    ✓ fs.write path=masque-review.md content="# Review The task was: Review this repos…" · created masque-review.md: 30 lines, 450 bytes · [time]
    $ masque runs show last | sed -n '/model call 3/,$p'
      18  [at]  model call 3: 8 messages, [n] tokens reserved
      19  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     I have what the report needs.
                     calls fs.write path=masque-review.md content="# Review The task was: Review this repository: wha…"
      20  [at]  asks tool_call for fs.write apr_1
      21  [at]  approve by user:tester (flag)
      22  [at]  fs.write begins (keyed)
      23  [at]  fs.write done, [time]
                     created masque-review.md: 30 lines, 450 bytes
      24  [at]  model call 4: 10 messages, [n] tokens reserved
      25  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished work, 0 places where an e…
      26  [at]  completed: 4 model calls, [n] tokens, $0.0000

    architect
    I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished
    work, 0 places where an error may be swallowed or end the program.

    First mark: src/main.rs:2:     // TODO: greet somebody.
    "##);
    assert_snapshot!(masque.read("masque-review.md"), @r#"
    # Review

    The task was: Review this repository: what is it made of, and what is left to do in it? Write a report.

    ## What is here

    2 documents. The top of the tree:

    ```text
    .agents/
      agents/
    README.md (34)
    src/
      main.rs (66)
    ```

    The first document begins:

    > # Sample
    > 
    > TODO: say what this is.


    ## Marks of unfinished work

    - `src/main.rs:2:     // TODO: greet somebody.`

    ## Places where an error may be swallowed or end the program

    None.
    "#);
}

#[test]
fn without_a_terminal_and_without_the_flag_it_waits_for_its_answer() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque demo > /dev/null 2> ../progress
         tail -7 ../progress
         masque approvals approve apr_… --resume"
    ), @r##"
    $ masque demo > /dev/null 2> ../progress
    [exit 4]
    $ tail -7 ../progress
        │   main.rs (66)
        │ ```
        │ 
        │ … 14 more lines; masque approvals show has all
      masque approvals approve apr_1
      masque approvals deny apr_1
    then go on: masque runs resume run_1
    $ masque approvals approve apr_… --resume
    I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished
    work, 0 places where an error may be swallowed or end the program.

    First mark: src/main.rs:2:     // TODO: greet somebody.
    ! approve: apr_1
    ! architect run_1
    !   approve by user:tester (cli)
    ! ✓ fs.write path=masque-review.md content="# Review The task was: Review this repos…" · created masque-review.md: 30 lines, 450 bytes · [time]
    ! completed 4 model calls, [n] tokens, $0.0000, [time]
    "##);
}

#[test]
fn a_directory_without_documents_is_reviewed_too() {
    let masque = Masque::new();
    let output = masque.shell("mkdir bare && masque demo -C bare --approve");
    assert!(output.status.success(), "{output:?}");
    let report = masque.read("bare/masque-review.md");
    assert!(report.contains("\n0 documents.") && !report.contains("[no "), "{report}");
}
