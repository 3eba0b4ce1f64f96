//! Starting supervisors: in this process, or in the background with a keeper.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_sandbox::service::{Output, ServiceCommand};
use masque_supervisor::{
    directory::StateDirectory,
    runner::{Begin, Reload, Runner, RunnerSpec},
};
use masque_types::{actor::Actor, time::Timestamp};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::{
    App, Error, audit,
    config::{Layer, Resolved, Settings},
    host::Host,
};

/// What supervisors and keepers say for people goes to this file of the state directory.
const LOG: &str = "supervisor.log";
/// Size in bytes at which that file begins anew.
const LOG_BYTES: u64 = 4 << 20;
/// How long a supervisor may take to answer: it may have services of an earlier one to end first.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Time between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes of the log that are shown when it does not.
const SHOWN: usize = 2_000;

/// How a supervisor was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    /// It was started.
    Started,
    /// One ran already; it was told that everything is wanted.
    Running,
}

impl App {
    /// Notes that an actor starts a fleet in this process. To be called before [`Place::supervise`].
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub async fn admit_fleet(&self, actor: &Actor, place: &Place) -> Result<(), Error> {
        self.note_fleet(actor, "fleet.up", place, json!({ "detached": false })).await
    }

    /// Starts the supervisor of a place in the background, or tells the one that runs that everything is wanted. It is up
    /// to the task of following what becomes of it, see [`super::Progress`].
    ///
    /// # Errors
    /// When it does not come to answer; the message ends with what it said.
    pub async fn start_fleet(&self, actor: &Actor, place: &Place) -> Result<Began, Error> {
        self.note_fleet(actor, "fleet.up", place, json!({ "detached": true })).await?;
        if let Ok(mut client) = place.own().await {
            client.up(super::Target::All).await?;
            return Ok(Began::Running);
        }
        place.refuse_doubles()?;
        let keeper = self.detach_keeper(place)?;
        await_answer(place, keeper).await?;
        Ok(Began::Started)
    }

    fn detach_keeper(&self, place: &Place) -> Result<u32, Error> {
        let directory = StateDirectory::create(&place.directory)?;
        let log = open_log(&directory)?;
        let arguments = arguments(place, &self.settings, &["--keep"]);
        let environment = environment(&self.host, &self.settings, place)?;
        masque_sandbox::detach(&self.host.executable, &arguments, &environment, &place.fleet.directory, log)
            .map_err(|error| Error::environment(format!("the supervisor did not start: {error}")))
    }

    /// Writes what was done with a fleet to the audit log.
    pub(super) async fn note_fleet(
        &self,
        actor: &Actor,
        action: &str,
        place: &Place,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        let target = format!("{}/{}", place.fleet.name, place.host);
        Ok(self.store.audit(audit::entry(self.now(), actor, action, None, target, detail)).await?)
    }
}

impl Place {
    /// Supervises in this process until it is told to end and everything has ended. `is_shown` says whether somebody is
    /// shown every change, so that nothing is said twice.
    ///
    /// # Errors
    /// When another supervisor has some of the services, the state directory cannot be used, or other hosts cannot be spoken with.
    pub async fn supervise(
        &self,
        host: &Host,
        settings: &Settings,
        (begin, is_shown): (Begin, bool),
        stop: CancellationToken,
    ) -> Result<(), Error> {
        self.refuse_doubles()?;
        let spec = RunnerSpec { begin, is_shown, ..self.spec(host, settings)? };
        let runner = Runner::start(spec).await?;
        if let Err(error) = self.card().write(&self.directory) {
            // On a full disk, for example: it can be reached all the same, as long as the manifest can be read.
            tracing::warn!("where this supervisor is cannot be written down: {error}");
        }
        Ok(runner.run(stop).await?)
    }

    fn spec(&self, host: &Host, settings: &Settings) -> Result<RunnerSpec, Error> {
        let manifest = self.manifest.clone();
        Ok(RunnerSpec {
            fleet: self.fleet.clone(),
            host: self.host.clone(),
            groups: self.groups.clone(),
            directory: self.directory.clone(),
            environment: host.environment.clone(),
            clock: now,
            begin: Begin::Up,
            is_shown: false,
            reload: Some(Reload(Arc::new(move || manifest.again()))),
            link: self.link(host)?,
            metrics: Some(settings.text("fleet.metrics")).filter(|address| !address.is_empty()),
        })
    }

    /// Keeps a supervisor running in a process of its own: starts it, and again when it is killed. Gives its exit code.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn keep(&self, host: &Host, settings: &Settings) -> Result<i32, Error> {
        let directory = StateDirectory::create(&self.directory)?;
        let words = |begin: &str| {
            let program = std::iter::once(host.executable.clone().into_os_string());
            program.chain(arguments(self, settings, &["--begin", begin])).collect::<Vec<_>>()
        };
        let mut command = ServiceCommand::new(words("up"), &self.fleet.directory);
        command.environment = environment(host, settings, self)?;
        command.output = Output::Descriptor(open_log(&directory)?.into());
        Ok(masque_supervisor::keeper::keep(command, words("resume")).await?)
    }
}

/// The time of day for the supervisor.
fn now() -> Timestamp {
    crate::clock::SystemClock.now()
}

/// Variables of the manifest that were set by hand, for a supervisor in the background: a list as JSON. Their values may
/// be secrets, and everybody on the machine sees arguments.
const VARIABLES: &str = "MASQUE_FLEET_VARIABLES";

/// The variables that whoever started this process in the background was given.
///
/// # Errors
/// When they cannot be read.
pub fn handed_variables(host: &Host) -> Result<Vec<String>, Error> {
    let read = |text| serde_json::from_str(text).map_err(|error| Error::usage(format!("{VARIABLES}: {error}")));
    host.variable(VARIABLES).map_or_else(|| Ok(Vec::new()), read)
}

/// Options that were set for this invocation, and whether their values are secret.
fn given(settings: &Settings) -> impl Iterator<Item = &Resolved> {
    settings.all().filter(|resolved| resolved.layer == Layer::Argument)
}

/// The arguments by which this program supervises that place.
fn arguments(place: &Place, settings: &Settings, further: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["fleet".into(), "supervise".into()];
    for Resolved { option, value, .. } in given(settings).filter(|resolved| !resolved.option.secret) {
        arguments.extend(["--set".into(), format!("{}={value}", option.key).into()]);
    }
    for file in &place.manifest.files {
        arguments.extend(["--file".into(), file.into()]);
    }
    arguments.extend(["--host".into(), OsString::from(&place.host)]);
    for group in &place.groups {
        arguments.extend(["--group".into(), group.into()]);
    }
    arguments.extend(further.iter().map(Into::into));
    arguments
}

fn environment(host: &Host, settings: &Settings, place: &Place) -> Result<BTreeMap<OsString, OsString>, Error> {
    let own = host.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let secret = given(settings).filter(|resolved| resolved.option.secret);
    let secret = secret.map(|resolved| (resolved.option.variable().into(), resolved.value.to_string().into()));
    let variables = serde_json::to_string(&place.manifest.asked.variables).map_err(std::io::Error::from)?;
    let further = [("MASQUE_HOME".into(), host.home.clone().into()), (VARIABLES.into(), variables.into())];
    Ok(own.chain(secret).chain(further).collect())
}

fn open_log(directory: &StateDirectory) -> Result<std::fs::File, Error> {
    let path = directory.join(LOG);
    let is_large = fs_err::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES);
    let mut options = fs_err::OpenOptions::new();
    options.create(true).append(true);
    if is_large {
        fs_err::rename(&path, path.with_extension("log.1"))?;
    }
    Ok(options.open(&path)?.into_parts().0)
}

/// Waits until the supervisor of a place answers, or its keeper has ended without one.
async fn await_answer(place: &Place, keeper: u32) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match place.connect().await {
            Ok(_) => return Ok(()),
            Err(_) if began.elapsed() < ANSWERS_WITHIN && is_alive(keeper) => sleep(LOOK).await,
            Err(_) => break,
        }
    }
    let log = place.directory.join(LOG);
    Err(Error::environment(format!("the supervisor did not start{}", last_words(&log)))
        .hint(format!("{} has all that it said", log.display())))
}

fn is_alive(process: u32) -> bool {
    let stat = fs_err::read_to_string(PathBuf::from(format!("/proc/{process}/stat"))).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with(['Z', 'X']))
}

fn last_words(log: &Path) -> String {
    let said = fs_err::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(said.get(said.len().saturating_sub(SHOWN)..).unwrap_or_default()).into_owned();
    match said.trim() {
        "" => String::new(),
        said => format!("; it said:\n{said}"),
    }
}
