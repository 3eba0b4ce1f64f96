//! `masque config`: where each value comes from, and what a project may not do.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn each_value_is_shown_with_the_layer_that_it_came_from() {
    let mut masque = Masque::new();
    masque.unset("MASQUE_MODEL_DEFAULT");
    masque.write("user/.config/masque/config.toml", "[run]\nsteps = 30\nusd = \"1.50\"\n\n[approvals]\nttl = \"2h\"\n");
    masque.write(
        "project/.masque/config.toml",
        "[run]\nsteps = 1000\nusd = \"0.50\"\n\n[sandbox]\nmode = \"none\"\n\n[store]\nurl = \"/tmp/mine.db\"\n\n\
         [providers.openai]\nbase_url = \"https://example.org\"\n\n[run.colour]\nred = 1\n",
    );
    masque.set("MASQUE_RUN_TOKENS", "90000");
    assert_snapshot!(masque.session("masque config show --set run.wall=20m | tr -s ' '"), @"
    $ masque config show --set run.wall=20m | tr -s ' '
    OPTION VALUE FROM MEANING
    model.default built in Models to ask, first choice first: provider/model, …
    model.max_output_tokens 4096 built in Largest answer of one model call
    model.context_tokens 100000 built in Conversation size that triggers compaction
    model.prices built in YAML file with prices that override the built-in table
    model.probe_local off MASQUE_MODEL_PROBE_LOCAL Look for Ollama and LM Studio on this machine
    run.steps 30 [user]/.config/masque/config.toml Model calls that a run may make
    run.tokens 90000 MASQUE_RUN_TOKENS Tokens that a run may use
    run.usd $0.5000 [project]/.masque/config.toml Dollars that a run may spend
    run.wall 20m --set run.wall Active time of a run; waiting for people does not count
    run.mode persona built in What a run does where no rule speaks; `persona` is as the persona's file says
    run.network persona built in What programs of a run reach; `none` takes network and secrets from it and from all that it calls
    run.lease 10s built in How long a dead worker blocks its run
    approvals.ttl 2h [user]/.config/masque/config.toml How long a question waits before the call is denied
    approvals.decide cli built in Where questions of runs are answered; `elicitation` takes an editor's form for a person's answer
    mcp.tools core built in Personas with a tool of their own: the six core ones and twelve others, or all; `invoke_persona` calls any
    sandbox.mode process built in How tools are confined
    sandbox.engine built in Socket of the container engine; empty looks for Podman, then Docker, then starts Podman's service
    sandbox.landlock auto built in Landlock as a second layer, where the kernel has it
    home.backup_every 1d built in Time between two backups of each home that a worker makes; `unlimited` makes none
    home.keep 50 built in Newest versions of a home that stay when a worker made one; the newest of each week stays for a year
    tools.discovery auto built in Look for tools of MCP servers instead of showing all; `auto` does where there are more than 40
    memory.embedder auto built in What embeds: minilm, none, provider/model, or URL#model; `auto` is minilm once it was fetched
    memory.chunk_tokens 512 built in Estimated tokens of the parts that documents are cut into
    memory.curate_every unlimited built in Time between two rounds of summaries that workers have a model write; `unlimited` writes none
    standards.directory .masque/standards built in Where a project keeps its standards: a directory below the project
    standards.decide cli built in Where standards are decided about; `elicitation` takes an editor's form for a person's decision too
    standards.ttl 30d built in How long a proposed standard can be approved
    jobs.parallel 4 built in Jobs that one process drives at a time; 0 leaves them to other processes
    jobs.keep 30d built in How long jobs are kept after their end; `unlimited` keeps all
    fleet.metrics built in Loopback address and port at which supervisors of fleets tell metrics; empty tells none
    store.url built in SQLite file or postgres:// URL; empty is masque.db in Masque's home
    ! [project]/.masque/config.toml: warning: a project's file may not declare providers: ignored
    !   hint: move the section to your own configuration file
    ! [project]/.masque/config.toml:14:1: warning: there is no option `run.colour`: ignored
    !   hint: `masque config show` lists all options
    ! [project]/.masque/config.toml: warning: a project's file may not set run.steps to `1000`: ignored
    !   hint: set it in your own configuration file, if you want it
    ! [project]/.masque/config.toml: warning: a project's file may not set sandbox.mode to `none`: ignored
    !   hint: set it in your own configuration file, if you want it
    ! [project]/.masque/config.toml: warning: a project's file may not set store.url to `/tmp/mine.db`: ignored
    !   hint: set it in your own configuration file, if you want it
    ");
}

#[test]
fn a_password_is_never_shown() {
    let mut masque = Masque::new();
    masque.set("MASQUE_STORE_URL", "postgres://masque:hunter2@127.0.0.1:1/masque");
    masque.set("ANTHROPIC_API_KEY", "sk-hunter2");
    let lines = ["config show", "config show --json", "runs list", "doctor", "run tester -p Hello"];
    for line in lines {
        let output = masque.shell(&format!("masque {line}"));
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("hunter2"), "{line}: {}", String::from_utf8_lossy(&said));
    }
    assert_snapshot!(masque.session("masque config show | tail -1 | tr -s ' '\nmasque runs list"), @r#"
    $ masque config show | tail -1 | tr -s ' '
    store.url (set) MASQUE_STORE_URL SQLite file or postgres:// URL; empty is masque.db in Masque's home
    $ masque runs list
    ! error: the database server 127.0.0.1:1/masque cannot be reached (Connection refused (os error 111)): check that the server runs and that host and port are right
    [exit 5]
    "#);
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let mut masque = Masque::new();
    let mut record = String::new();
    for text in ["[run]\nsteps = \"many\"\n", "[run\nsteps = 3\n", "[providers.lab]\nurl = \"x\"\n"] {
        masque.write("user/.config/masque/config.toml", text);
        record += &masque.session("masque config show");
    }
    masque.write("user/.config/masque/config.toml", "");
    masque.set("MASQUE_RUN_LEASE", "soon");
    record += &masque.session("masque config show");
    masque.unset("MASQUE_RUN_LEASE");
    record += &masque.session("masque config show --set run.step=3\nmasque config show --set steps");
    assert_snapshot!(record, @r#"
    $ masque config show
    ! error: [user]/.config/masque/config.toml:2:1: `many` is not a whole number or `unlimited`
    ! hint: run.steps: Model calls that a run may make
    [exit 2]
    $ masque config show
    ! error: [user]/.config/masque/config.toml:1:5: error: unclosed table, expected `]`
    [exit 2]
    $ masque config show
    ! error: [user]/.config/masque/config.toml: error: [providers.lab]: unknown field `url`, expected one of `kind`, `base_url`, `api_key_env`, `script`, `headers`
    ! hint: known keys: kind, base_url, api_key_env, script, headers
    [exit 2]
    $ masque config show
    ! error: MASQUE_RUN_LEASE: `soon` is not a duration such as 30s, 20m, 2h or 7d
    ! hint: run.lease: How long a dead worker blocks its run
    [exit 2]
    $ masque config show --set run.step=3
    ! error: there is no option `run.step`
    ! hint: `masque config show` lists all options
    [exit 2]
    $ masque config show --set steps
    ! error: `steps` sets nothing: expected KEY=VALUE
    ! hint: for example --set run.steps=20
    [exit 2]
    "#);
}
