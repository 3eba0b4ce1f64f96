//! Colours, closed pipes, help and completions.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn colours_are_where_they_are_wanted_and_nowhere_else() {
    let mut masque = Masque::new();
    let plain = masque.shell("masque persona list; masque runs show last");
    assert!(!plain.stdout.contains(&0x1b) && !plain.stderr.contains(&0x1b));
    masque.unset("NO_COLOR");
    let piped = masque.shell("masque persona list; masque runs show last");
    assert!(!piped.stdout.contains(&0x1b) && !piped.stderr.contains(&0x1b));
    masque.set("CLICOLOR_FORCE", "1");
    let forced = masque.shell("masque persona list");
    assert!(forced.stdout.contains(&0x1b));
}

#[test]
fn a_reader_that_went_away_is_no_fault() {
    let masque = Masque::new();
    masque.session("masque run tester -p Hello");
    for arguments in [
        &["runs", "show", "last"][..],
        &["tool", "list"],
        &["completions", "bash"],
        &["--help"],
        &["runs", "export", "last"],
    ] {
        assert_eq!(masque.unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    let masque = Masque::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = masque.shell(&format!("masque completions {shell}"));
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("approvals"), "{shell}");
    }
    assert_snapshot!(masque.session("masque completions tcsh"), @r#"
    $ masque completions tcsh
    ! error: invalid value 'tcsh' for '<SHELL>'
    !   [possible values: bash, elvish, fish, powershell, zsh]
    !
    !   tip: a similar value exists: 'zsh'
    !
    ! For more information, try '--help'.
    [exit 2]
    "#);
}

#[test]
fn a_wrong_command_line_is_explained() {
    assert_snapshot!(Masque::new().session(
        "masque
         masque rum
         masque runs show
         masque run tester -p Hello --detach --wait"
    ), @"
    $ masque
    ! Runs personas: AI agents with durable runs, each in its own sandbox
    !
    ! Usage: masque [OPTIONS] [COMMAND]
    !
    ! Commands:
    !   chat         Talk to a persona
    !   run          Run a persona on a task
    !   handoff      Leave a task to a persona, with what belongs to it, at once or as a package
    !   runs         List, show and steer runs
    !   approvals    Answer the questions of waiting runs
    !   persona      List, show, check, write, import and export personas
    !   tool         List, show and find tools
    !   config       Show the configuration
    !   explain      Explain what a persona may do, what it may not, and why
    !   audit        Read and verify the audit log
    !   standard     The standards of a project: search, propose, approve
    !   trust        Trust what a project brings: MCP servers, hooks, unconfined runs
    !   memory       Keep and find what personas remember
    !   key          Keep provider keys in the sealed store
    !   secret       Keep secrets that personas use without seeing them
    !   token        Make, list and revoke access tokens of the server
    !   doctor       Show what this machine can enforce and which models can be asked
    !   demo         Watch the bundled architect review this directory, without a model
    !   fleet        Start, watch and heal a fleet of services
    !   mcp          Serve personas, standards and memory to editors and other MCP clients
    !   worker       Drive runs that nobody drives
    !   completions  Print shell completions
    !
    ! Options:
    !   -C, --directory <DIR>  Directory to work in; the current one when absent
    !   -c, --set <KEY=VALUE>  Set a configuration option for this invocation; `masque config show` lists
    !                          them
    !   -h, --help             Print help
    !   -V, --version          Print version
    [exit 2]
    $ masque rum
    ! error: unrecognized subcommand 'rum'
    !
    !   tip: some similar subcommands exist: 'runs', 'run'
    !
    ! Usage: masque [OPTIONS] [COMMAND]
    !
    ! For more information, try '--help'.
    [exit 2]
    $ masque runs show
    ! error: the following required arguments were not provided:
    !   <RUN>
    !
    ! Usage: masque runs show <RUN>
    !
    ! For more information, try '--help'.
    [exit 2]
    $ masque run tester -p Hello --detach --wait
    ! error: the argument '--detach' cannot be used with '--wait'
    !
    ! Usage: masque run --prompt <TASK> --detach <PERSONA>
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}
