//! `masque trust`, and what needs it.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn a_run_without_sandbox_needs_trust_and_is_marked() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque run tester -p Hello --sandbox none
         masque trust --show
         masque trust
         masque run tester -p Hello --sandbox none
         masque runs list"
    ), @r#"
    $ masque run tester -p Hello --sandbox none
    ! error: --sandbox none is refused: [project] is not trusted
    ! hint: look at what it brings (.agents, .claude, .masque), then: masque trust
    ! hint: or run it confined: leave --sandbox away
    [exit 3]
    $ masque trust --show
    [project]: not trusted
    $ masque trust
    [project] is trusted with the content that it has now ([digest])
    $ masque run tester -p Hello --sandbox none
    Hello. There is nothing to do.
    ! tester run_1 without sandbox
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    $ masque runs list
    RUN                             STATUS     PERSONA  SANDBOX  CALLS  COST     AGE  TASK
    run_1                           completed  tester   none     1      $0.0000  [s]  Hello
    "#);
}

#[test]
fn trust_ends_with_a_change_of_what_was_trusted() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque trust
         echo '# more' >> .agents/agents/tester.md
         masque trust --show
         masque run tester -p Hello --sandbox none
         masque trust
         masque trust --revoke
         masque trust --show"
    ), @r#"
    $ masque trust
    [project] is trusted with the content that it has now ([digest])
    $ echo '# more' >> .agents/agents/tester.md
    $ masque trust --show
    [project]: no longer trusted, its content changed
    $ masque run tester -p Hello --sandbox none
    ! error: --sandbox none is refused: [project] is not trusted
    ! hint: look at what it brings (.agents, .claude, .masque), then: masque trust
    ! hint: or run it confined: leave --sandbox away
    [exit 3]
    $ masque trust
    [project] is trusted with the content that it has now ([digest])
    $ masque trust --revoke
    [project] is no longer trusted
    $ masque trust --show
    [project]: not trusted
    "#);
}

#[test]
fn programs_of_an_untrusted_project_do_not_start() {
    let masque = Masque::new();
    masque.write(
        "project/.agents/agents/served.md",
        "---\nname: served\ndescription: d\ntools: [\"mcp:odd/*\"]\nmcpServers:\n  odd: { command: sh, args: [-c, \"touch started\"] }\n---\nText.\n",
    );
    assert_snapshot!(masque.session("masque run served -p Hello"), @r#"
    $ masque run served -p Hello
    Hello. There is nothing to do.
    ! served run_1
    ! [project]/.agents/agents/served.md: warning: this persona comes with a project that is not trusted with it, and goes without: MCP servers
    !   hint: look at what the project brings, then: masque trust
    ! completed 1 model call, [n] tokens, $0.0000, [time]
    "#);
    assert!(!masque.path("project/started").exists());
}
