//! Supervises one host of a fleet: `supervise FILE HOST STATE [--group GROUP]… [--resume] [--keep] [--key N]`.
//!
//! `FILE` is a manifest, or a fleet as JSON (`.json`). `STATE` is the state directory. `--resume` wants what the last
//! supervisor wanted, `--keep` starts the supervisor in a process of its own, and again when it is killed. `--key`
//! links it to the other hosts, with a key that is made of that number. It ends with
//! SIGTERM, SIGINT, or when a client says so. A surface that tests use; the command line is `masque fleet`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use masque_fleet::{
    manifest::{self, Variables},
    model::Fleet,
};
use masque_home::identity::KeyPair;
use masque_sandbox::service::{Output, ServiceCommand};
use masque_supervisor::{
    Error, keeper,
    link::{Tcp, peers_of},
    runner::{Begin, LinkParts, Reload, Runner, RunnerSpec},
};
use masque_types::time::Timestamp;
use tokio_util::sync::CancellationToken;

struct Arguments {
    file: PathBuf,
    host: String,
    state: PathBuf,
    groups: BTreeSet<String>,
    begin: Begin,
    keep: bool,
    key: Option<u8>,
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
    runtime.block_on(run(arguments().map_err(Error::Refused)?))
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    if arguments.keep {
        let mut command = ServiceCommand::new(words(&[]), ".");
        command.environment = environment().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        command.output = Output::Path(arguments.state.join("supervisor.log"));
        masque_supervisor::directory::StateDirectory::create(&arguments.state)?;
        let code = keeper::keep(command, words(&["--resume"])).await?;
        return if code == 0 { Ok(()) } else { Err(Error::Refused(format!("the supervisor ended with {code}"))) };
    }
    let file = arguments.file.clone();
    let fleet = read(&arguments.file).map_err(Error::Refused)?;
    let spec = RunnerSpec {
        link: arguments.key.map(|seed| link(&fleet, &arguments.host, seed)).transpose()?,
        fleet,
        host: arguments.host,
        groups: arguments.groups,
        directory: arguments.state,
        environment: environment(),
        clock: now,
        begin: arguments.begin,
        is_shown: false,
        reload: Some(Reload(Arc::new(move || read(&file)))),
        metrics: None,
    };
    Runner::start(spec).await?.run(CancellationToken::new()).await
}

/// The link to the other hosts of the fleet, with the key that tests make of this number.
fn link(fleet: &Fleet, host: &str, seed: u8) -> Result<LinkParts, Error> {
    let key = KeyPair::from_seed(&[seed; 32]);
    let peers = peers_of(fleet, host, &key.public())?;
    let listen = fleet.hosts.get(host).and_then(|host| host.link.clone());
    Ok(LinkParts { name: host.to_owned(), tcp: Some(Tcp { key, listen }), unix: None, peers })
}

fn arguments() -> Result<Arguments, String> {
    let usage = || "supervise FILE HOST STATE [--group GROUP]… [--resume] [--keep] [--key N]".to_owned();
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().ok_or_else(usage);
    let (file, host, state) = (next()?.into(), next()?, next()?.into());
    let mut arguments =
        Arguments { file, host, state, groups: BTreeSet::new(), begin: Begin::Up, keep: false, key: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--group" => drop(arguments.groups.insert(words.next().ok_or_else(usage)?)),
            "--resume" => arguments.begin = Begin::Resume,
            "--keep" => arguments.keep = true,
            "--key" => {
                let seed = words.next().ok_or_else(usage)?;
                arguments.key = Some(seed.parse().map_err(|error| format!("--key {seed}: {error}"))?);
            }
            _ => return Err(usage()),
        }
    }
    Ok(arguments)
}

/// The words that this program was started with, without `--keep`, with others.
fn words(further: &[&str]) -> Vec<OsString> {
    let own = std::env::args_os().filter(|word| word != "--keep");
    own.chain(further.iter().map(Into::into)).collect()
}

fn read(file: &Path) -> Result<Fleet, String> {
    if file.extension().is_some_and(|extension| extension == "json") {
        let text = fs_err::read_to_string(file).map_err(|error| error.to_string())?;
        return serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let variables = Variables { environment: environment(), set: BTreeMap::new() };
    let loaded = manifest::load(&[file.to_owned()], &variables);
    let errors = || loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    loaded.fleet.clone().ok_or_else(errors)
}

#[expect(clippy::disallowed_methods, reason = "this program is the application")]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

#[expect(clippy::disallowed_methods, reason = "this program is the application")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
