//! `masque secret`: sealing, granting, taking back.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
#[expect(clippy::too_many_lines, reason = "one session, shown whole")]
fn secrets_are_sealed_granted_and_taken_back() {
    let masque = Masque::new();
    let persona = "---\nname: caller\ndescription: Calls.\nmasque:\n  sandbox: { net: { allow: [api.example.org] } }\n  \
                   secrets: [{ name: API_TOKEN, hosts: [api.example.org] }]\n---\nYou call.\n";
    let file = masque.path("project/.agents/agents/caller.md");
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::write(&file, persona).unwrap();
    assert_snapshot!(masque.session(
        "masque secret grant API_TOKEN caller
         printf 'canary-91c2' | masque secret set API_TOKEN
         printf 'x' | masque secret set api-token
         masque secret grant API_TOKEN tester
         masque secret grant API_TOKEN caller
         masque secret list
         masque explain caller
         masque trust
         masque explain caller
         masque secret revoke API_TOKEN caller
         masque secret revoke API_TOKEN
         masque secret remove API_TOKEN
         masque secret list
         masque audit verify"
    ), @"
    $ masque secret grant API_TOKEN caller
    ! error: there is no secret `API_TOKEN`
    ! hint: masque secret set API_TOKEN
    [exit 2]
    $ printf 'canary-91c2' | masque secret set API_TOKEN
    ! API_TOKEN is sealed; a persona may use it after: masque secret grant API_TOKEN PERSONA
    $ printf 'x' | masque secret set api-token
    ! error: `api-token` is no name for a secret
    ! hint: use capital letters, digits and `_`, such as ZENODO_TOKEN: programs find it under this name
    [exit 2]
    $ masque secret grant API_TOKEN tester
    ! error: persona `tester` does not ask for a secret `API_TOKEN`
    ! hint: name it in its file: masque: { secrets: [{ name: …, hosts: [ … ] }] }
    [exit 2]
    $ masque secret grant API_TOKEN caller
    ! caller may use API_TOKEN for api.example.org only, and never sees it
    $ masque secret list
    SECRET     STATE   GRANTED TO
    API_TOKEN  sealed  caller
    $ masque explain caller
    caller  [project]/.agents/agents/caller.md
    not trusted: it goes without secrets, the network (masque trust)

    TOOL                EFFECT  POLICY  WHY
    fs.edit             probe   ask     default: what can change something or reach out is asked
    fs.glob             pure    allow   only reads what belongs to the project or the persona
    fs.list             pure    allow   only reads what belongs to the project or the persona
    fs.read             pure    allow   only reads what belongs to the project or the persona
    fs.search           pure    allow   only reads what belongs to the project or the persona
    fs.write            keyed   ask     default: what can change something or reach out is asked
    human.ask           keyed   allow   only reads what belongs to the project or the persona
    result.read         pure    allow   only reads what belongs to the project or the persona
    shell.exec          once    ask     default: what can change something or reach out is asked
    standard.proposals  pure    allow   only reads what belongs to the project or the persona
    standard.propose    keyed   ask     default: what can change something or reach out is asked
    standard.search     pure    allow   only reads what belongs to the project or the persona
    web.fetch           pure    ask     default: what can change something or reach out is asked

    mode     default
    sandbox  process
    writes   the workspace
    network  nothing
    limits   50 steps, [time]
    $ masque trust
    [project] is trusted with the content that it has now ([digest])
    $ masque explain caller
    caller  [project]/.agents/agents/caller.md

    TOOL                EFFECT  POLICY  WHY
    fs.edit             probe   ask     default: what can change something or reach out is asked
    fs.glob             pure    allow   only reads what belongs to the project or the persona
    fs.list             pure    allow   only reads what belongs to the project or the persona
    fs.read             pure    allow   only reads what belongs to the project or the persona
    fs.search           pure    allow   only reads what belongs to the project or the persona
    fs.write            keyed   ask     default: what can change something or reach out is asked
    human.ask           keyed   allow   only reads what belongs to the project or the persona
    result.read         pure    allow   only reads what belongs to the project or the persona
    shell.exec          once    ask     default: what can change something or reach out is asked
    standard.proposals  pure    allow   only reads what belongs to the project or the persona
    standard.propose    keyed   ask     default: what can change something or reach out is asked
    standard.search     pure    allow   only reads what belongs to the project or the persona
    web.fetch           pure    ask     default: what can change something or reach out is asked

    mode     default
    sandbox  process
    writes   the workspace
    network  api.example.org:443
    secret   API_TOKEN: granted, put in at the border for api.example.org
    limits   50 steps, [time]
    $ masque secret revoke API_TOKEN caller
    ! API_TOKEN is taken back from 1
    $ masque secret revoke API_TOKEN
    ! error: secret `API_TOKEN` is granted to nobody
    ! hint: `masque secret list` shows who has what
    [exit 2]
    $ masque secret remove API_TOKEN
    ! API_TOKEN is removed
    $ masque secret list
    SECRET  STATE  GRANTED TO
    $ masque audit verify
    unbroken: 5 entries, head [digest]
    ");
    let files = walk(&masque.path("home"));
    assert!(files.iter().all(|content| !content.windows(11).any(|part| part == b"canary-91c2")));
}

fn walk(directory: &std::path::Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(fs_err::read(&path).unwrap()) }
    }
    found
}

#[test]
fn a_persona_whose_key_was_revoked_loses_its_secrets_until_it_has_a_new_one() {
    let masque = Masque::new();
    let persona = "---\nname: caller\ndescription: Calls.\nmasque:\n  sandbox: { net: { allow: [api.example.org] } }\n  \
                   secrets: [{ name: API_TOKEN, hosts: [api.example.org] }]\n---\nYou call.\n";
    fs_err::create_dir_all(masque.path("project/.agents/agents")).unwrap();
    fs_err::write(masque.path("project/.agents/agents/caller.md"), persona).unwrap();
    masque.session(
        "masque trust
         printf 'canary-91c2' | masque secret set API_TOKEN
         masque secret grant API_TOKEN caller
         masque persona identity caller",
    );
    let standing = || {
        let explained = masque.json("masque explain caller --json");
        explained["secrets"][0]["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing(), "granted");
    masque.session("masque persona identity caller --revoke 'the machine was lost'");
    assert_eq!(standing(), "revoked");
    masque.session("masque persona identity caller --rotate");
    assert_eq!(standing(), "granted");
}
