//! `masque persona`: listing, showing and checking personas.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn personas_are_listed_with_their_origin_also_broken_and_shadowed_ones() {
    let masque = Masque::new();
    masque.write("project/.agents/agents/broken.md", "---\nname: broken\ntools: [fs.read\n---\nText.\n");
    masque.write("user/.config/masque/agents/tester.md", "---\nname: tester\ndescription: Mine.\n---\nText.\n");
    assert_snapshot!(masque.session("masque persona list | grep -v ' bundled '"), @r#"
    $ masque persona list | grep -v ' bundled '
    PERSONA            FROM     DESCRIPTION
    tester             project  Does what its script says.
    tester (shadowed)  user     Mine.
    broken (broken)    project  masque persona validate [project]/.agents/agents/broken.md
    "#);
}

#[test]
fn a_persona_is_shown_whole() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque persona show tester
         masque persona show architect | head -8
         masque persona show tster"
    ), @"
    $ masque persona show tester
    tester  Does what its script says.
    from     [project]/.agents/agents/tester.md (project)
    digest   [digest]
    models   as configured
    tools    fs.read fs.list fs.write shell.exec human.ask
    rule     ask fs.write

    You do what you are told.
    $ masque persona show architect | head -8
    architect  Reads a code base and judges its structure, correctness and risks. Use for reviews, designs and plans; it writes reports, not code.
    from     bundled (bundled)
    digest   [digest]
    models   as configured
    tools    fs.read fs.list fs.glob fs.search fs.write web.fetch human.ask agent.call standard.search standard.propose standard.proposals
    rule     allow standard.propose
    rule     ask fs.write
    rule     ask web.fetch
    $ masque persona show tster
    ! error: there is no persona `tster`
    ! hint: did you mean `tester`?
    ! hint: `masque persona list` shows all personas
    [exit 2]
    ");
    let json = masque.json("masque persona show tester --json");
    assert_eq!(json["name"], "tester");
}

#[test]
fn what_is_wrong_has_a_place_and_a_way_out() {
    let masque = Masque::new();
    masque.write(
        "project/.agents/agents/odd.md",
        "---\nname: odd\ndescription: d\ntools: [fs.read, fs.raed]\nmasque:\n  budget: { usd: lots }\n  colour: red\n---\nText.\n",
    );
    assert_snapshot!(masque.session(
        "masque persona validate
         masque persona validate .agents/agents/tester.md
         masque persona validate absent.md"
    ), @r#"
    $ masque persona validate
    good   [project]/.agents/agents/tester.md
    wrong  [project]/.agents/agents/odd.md
      [project]/.agents/agents/odd.md:4:18: warning: no tool is called `fs.raed`; it is kept and grants nothing
        hint: did you mean `fs.read`?
      [project]/.agents/agents/odd.md:6:18: error: `masque.budget.usd` is a text, expected a number
        hint: write for example `usd: 0.5`
      [project]/.agents/agents/odd.md:7:3: warning: unknown key `masque.colour`; it is kept and has no effect
        hint: remove it, or check its spelling
    [exit 1]
    $ masque persona validate .agents/agents/tester.md
    good   .agents/agents/tester.md
    $ masque persona validate absent.md
    wrong  absent.md
      absent.md: error: the file does not exist
        hint: check the path and the permissions
    [exit 1]
    "#);
}
