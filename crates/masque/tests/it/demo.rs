//! `masque demo`: the whole of a run, without model, key or network.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn the_demonstration_reviews_the_directory() {
    let masque = Masque::new();
    assert_snapshot!(masque.session("masque demo --approve"), @r##"
    $ masque demo --approve
    I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished
    work, 0 places where an error may be swallowed or end the program.

    First mark: README.md:3: TODO: say what this is.

    Timeline
       1  [at]  created by user:tester, sandbox process
                     task: Review this repository: what is it made of, and what is left to do in it? Write a report.
       2  [at]  persona architect (bundled, [digest])
       3  [at]  tools fs.glob fs.list fs.read fs.search fs.write human.ask result.read web.fetch
       4  [at]  model call 1: 1 messages, [n] tokens reserved
       5  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     I look at what is here, and for marks of unfinished work.
                     calls fs.list path=. depth=2
                     calls fs.glob pattern=**/*.md
                     calls fs.search pattern=\b(TODO|FIXME|HACK)\b
       6  [at]  fs.list begins (pure)
       7  [at]  fs.glob begins (pure)
       8  [at]  fs.search begins (pure)
       9  [at]  fs.list done, [time]
                     .agents/ agents/ README.md (34) src/ main.rs (37)
      10  [at]  fs.glob done, [time]
                     .agents/agents/tester.md README.md
      11  [at]  fs.search done, [time]
                     README.md:3: TODO: say what this is.
      12  [at]  model call 2: 5 messages, [n] tokens reserved
      13  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     Now the first document, and the places where an error may be swallowed or end the program.
                     calls fs.read lines=20 path=README.md
                     calls fs.search pattern="\.unwrap\(\)|except:|catch *\(|\beval\("
      14  [at]  fs.read begins (pure)
      15  [at]  fs.search begins (pure)
      16  [at]  fs.read done, [time]
                     # Sample TODO: say what this is.
      17  [at]  fs.search done, [time]
                     [no match; try ignore_case, a shorter pattern, or include_ignored]
      18  [at]  model call 3: 8 messages, [n] tokens reserved
      19  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     I have what the report needs.
                     calls fs.write path=masque-review.md content="# Review The task was: Review this repository: wha…"
      20  [at]  asks tool_call for fs.write apr_1
      21  [at]  approve by user:tester (flag)
      22  [at]  fs.write begins (keyed)
      23  [at]  fs.write done, [time]
                     created masque-review.md: 30 lines, 443 bytes
      24  [at]  model call 4: 10 messages, [n] tokens reserved
      25  [at]  scripted/demo answered: [n] tokens, $0.0000, [time]
                     I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished work, 0 places where an e…
      26  [at]  completed: 4 model calls, [n] tokens, $0.0000

    Next
    the report:          [project]/masque-review.md
    the whole run:       masque runs show run_1
    on a real model:     set ANTHROPIC_API_KEY, or start Ollama; then masque run architect -p "Review this repository"
    ! architect run_1
    ! I look at what is here, and for marks of unfinished work.
    ! ✓ fs.list path=. depth=2 · 5 lines · [time]
    ! ✓ fs.glob pattern=**/*.md · 2 lines · [time]
    ! ✓ fs.search pattern=\b(TODO|FIXME|HACK)\b · README.md:3: TODO: say what this is. · [time]
    ! Now the first document, and the places where an error may be swallowed or end the program.
    ! ✓ fs.read lines=20 path=README.md · 3 lines · [time]
    ! ✓ fs.search pattern="\.unwrap\(\)|except:|catch *\(|\beval\(" · [no match; try ignore_case, a shorter pattern, or include_ignored] · [time]
    ! I have what the report needs.
    !   approve by user:tester (flag)
    ! ✓ fs.write path=masque-review.md content="# Review The task was: Review this repos…" · created masque-review.md: 30 lines, 443 bytes · [time]
    ! completed 4 model calls, [n] tokens, $0.0000, [time]
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
      main.rs (37)
    ```

    The first document begins:

    > # Sample
    > 
    > TODO: say what this is.


    ## Marks of unfinished work

    - `README.md:3: TODO: say what this is.`

    ## Places where an error may be swallowed or end the program

    None.
    "#);
}

#[test]
fn without_a_terminal_and_without_the_flag_it_waits_for_its_answer() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque demo > /dev/null
         masque approvals approve apr_… --resume"
    ), @r##"
    $ masque demo > /dev/null
    ! architect run_1
    ! I look at what is here, and for marks of unfinished work.
    ! ✓ fs.list path=. depth=2 · 5 lines · [time]
    ! ✓ fs.search pattern=\b(TODO|FIXME|HACK)\b · README.md:3: TODO: say what this is. · [time]
    ! ✓ fs.glob pattern=**/*.md · 2 lines · [time]
    ! Now the first document, and the places where an error may be swallowed or end the program.
    ! ✓ fs.read lines=20 path=README.md · 3 lines · [time]
    ! ✓ fs.search pattern="\.unwrap\(\)|except:|catch *\(|\beval\(" · [no match; try ignore_case, a shorter pattern, or include_ignored] · [time]
    ! I have what the report needs.
    ! waiting for a human:
    ! fs.write asked by rule: ask fs.write
    !   path: masque-review.md
    !   content: 30 lines, 443 bytes
    !     │ # Review
    !     │ 
    !     │ The task was: Review this repository: what is it made of, and what is left to do in it? Write a report.
    !     │ 
    !     │ ## What is here
    !     │ 
    !     │ 2 documents. The top of the tree:
    !     │ 
    !     │ ```text
    !     │ .agents/
    !     │   agents/
    !     │ README.md (34)
    !     │ src/
    !     │   main.rs (37)
    !     │ ```
    !     │ 
    !     │ … 14 more lines; masque approvals show has all
    !   masque approvals approve apr_1
    !   masque approvals deny apr_1
    ! then go on: masque runs resume run_1
    [exit 4]
    $ masque approvals approve apr_… --resume
    I wrote the report to masque-review.md: 2 documents, 1 marks of unfinished
    work, 0 places where an error may be swallowed or end the program.

    First mark: README.md:3: TODO: say what this is.
    ! approve: apr_1
    ! architect run_1
    !   approve by user:tester (cli)
    ! ✓ fs.write path=masque-review.md content="# Review The task was: Review this repos…" · created masque-review.md: 30 lines, 443 bytes · [time]
    ! completed 4 model calls, [n] tokens, $0.0000, [time]
    "##);
}
