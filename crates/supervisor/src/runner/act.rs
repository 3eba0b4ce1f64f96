//! What the machine wants, done: starts, signals, kills, checks, and the notes about them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_fleet::model::{Host, Kind, Service, ServiceId};
use masque_sandbox::service::signals;

use super::{DEPENDENCIES, LOGS, PIPES, Runner, event::Event, journal::Noted, unit::Live};
use crate::{
    Error,
    adoption::Cookie,
    logs::{Capture, LogSpec, file_name},
    machine::{Action, End, Input, Resolved},
    process::Surroundings,
    record::{Ended, ProcessId},
};

/// The variable that names the file in which a service finds its dependencies as they are now.
const DEPENDENCIES_VARIABLE: &str = "MASQUE_DEPENDENCIES";

impl Runner {
    /// Does one thing; what it leads to at once is the result.
    pub(super) fn act(&mut self, action: Action, now: Duration) -> Option<Input> {
        match action {
            Action::Start { id, instance, dependencies } => {
                return Some(self.start_service(id, instance, &dependencies));
            }
            Action::Watch { id, instance, which } => self.watch(&id, instance, which),
            Action::Unwatch { id, instance, which } => {
                if let Some(live) = self.live(&id, instance) {
                    *live.check(which) = None;
                }
            }
            Action::Signal { id, instance, signal } => self.signal(&id, instance, &signal),
            Action::Kill { id, instance } => self.kill(&id, instance),
            Action::Reload { id, instance, dependencies } => self.reload_service(&id, instance, &dependencies),
            Action::Changed { id, from, to, why } => self.changed(Noted { id, from, to, why }, now),
            Action::Alarm { .. } if self.spec.is_shown => {}
            Action::Alarm { id, why } => tracing::error!("{id}: {why}"),
        }
        None
    }

    fn start_service(&mut self, id: ServiceId, instance: u64, dependencies: &[Resolved]) -> Input {
        match self.launch(&id, instance, dependencies) {
            Ok(pid) => Input::Started { id, instance, pid },
            Err(error) => {
                self.records.ended(&id, Ended::Otherwise);
                Input::NotStarted { id, instance, why: error.to_string() }
            }
        }
    }

    fn launch(&mut self, id: &ServiceId, instance: u64, dependencies: &[Resolved]) -> Result<u32, Error> {
        let cookie = Cookie::new(&self.fleet.name, id, instance, &self.token);
        // Before anything runs that would have to be found again.
        self.records.planned(id, instance, cookie.as_str());
        self.records.told(id, dependencies);
        let capture = self.capture(id)?;
        let service = self.service_of(id)?;
        let told = self.told(dependencies);
        let surroundings = self.surroundings(id, &cookie, &told)?;
        for limit in surroundings.unenforced() {
            tracing::warn!("{id}: {limit}");
        }
        let mut hooks = self.hooks(id, &cookie, &capture)?;
        let mut additions = hooks.take_additions();
        if let Some(file) = self.dependencies_file(id) {
            self.tell_dependencies(id, &file, &told);
            additions.environment.insert(DEPENDENCIES_VARIABLE.to_owned(), file.display().to_string());
        }
        let process = Arc::new(surroundings.start(additions, &capture)?);
        let (pid, start_time) = (process.pid(), process.start_time());
        self.records.started(id, ProcessId { pid, start_time });
        self.await_end(id, instance, Live::new(service, instance, process, surroundings, hooks));
        Ok(pid)
    }

    /// The surroundings of an instance that is started.
    fn surroundings(
        &self,
        id: &ServiceId,
        cookie: &Cookie,
        told: &BTreeMap<String, String>,
    ) -> Result<Arc<Surroundings>, Error> {
        let (Some(unit), Some(start)) = (self.units.get(id), cookie.start()) else {
            return Err(Error::Refused(format!("{id} is not supervised here")));
        };
        let own = &self.spec.environment;
        Ok(Arc::new(Surroundings::of(&unit.service, &self.host_of(id), &start, told, own, &self.groups)?))
    }

    /// A service as it is started next.
    pub(super) fn service_of(&self, id: &ServiceId) -> Result<Arc<Service>, Error> {
        let unit = self.units.get(id).ok_or_else(|| Error::Refused(format!("{id} is not supervised here")))?;
        Ok(Arc::clone(&unit.service))
    }

    /// The host of a service, as the fleet describes it.
    pub(super) fn host_of(&self, id: &ServiceId) -> Host {
        self.fleet.hosts.get(&id.host).cloned().unwrap_or_default()
    }

    /// The variables that tell a service of its dependencies.
    pub(super) fn told(&self, dependencies: &[Resolved]) -> BTreeMap<String, String> {
        let mut told = BTreeMap::new();
        for Resolved { asked, actual, environment } in dependencies {
            let name = asked.variable();
            if let Some(actual) = actual {
                if let Some(address) = self.definition(actual).and_then(|service| self.address(service)) {
                    told.insert(name.clone(), address);
                }
                told.insert(format!("{name}_SERVICE"), actual.to_string());
            }
            told.extend(environment.clone());
        }
        told
    }

    /// Where a service is reached from this host.
    fn address(&self, service: &Service) -> Option<String> {
        let host = || self.fleet.hosts.get(&service.id.host)?.address.clone();
        let own = service.listen.clone().filter(|listen| !matches!(listen.as_str(), "0.0.0.0" | "::" | ""));
        let address = match service.id.host == self.spec.host {
            true => own.unwrap_or_else(|| "127.0.0.1".to_owned()),
            false => host().or(own)?,
        };
        let port = service.port?;
        Some(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
    }

    /// Reads what a service prints from now on, if that is not done yet.
    pub(super) fn capture(&mut self, id: &ServiceId) -> Result<Arc<Capture>, Error> {
        let spec = self.log_spec(id);
        let unit = self.units.get_mut(id).ok_or_else(|| Error::Refused(format!("{id} is not supervised here")))?;
        if let Some(capture) = &unit.log {
            return Ok(Arc::clone(capture));
        }
        let capture = Arc::new(Capture::open(&spec)?);
        unit.log = Some(Arc::clone(&capture));
        Ok(capture)
    }

    /// Holds on to an instance until all of it is gone.
    pub(super) fn await_end(&mut self, id: &ServiceId, instance: u64, mut live: Live) {
        self.hear_notices(id, &mut live);
        let (process, hear, of) = (Arc::clone(&live.process), self.hear.clone(), id.clone());
        if let Some(unit) = self.units.get_mut(id) {
            unit.live = Some(live);
        }
        self.tasks.spawn(async move {
            let end = process.wait().await.map_or(End::Unknown, end_of);
            // Whatever it had started must not meet its next instance.
            if let Err(error) = process.kill_tree().await {
                tracing::error!("{of}: {error}");
            }
            // Without a runner nobody needs to know.
            let _ = hear.send(Event::Ended { id: of, instance, end });
        });
    }

    /// Notes that an instance is gone, and tells the machine.
    pub(super) fn ended(&mut self, id: ServiceId, instance: u64, end: End) {
        let Some(unit) = self.units.get_mut(&id).filter(|unit| unit.has(instance)) else { return };
        unit.live = None;
        let is_completed = unit.service.kind == Kind::Task && end.is_success();
        self.records.ended(&id, if is_completed { Ended::Completed } else { Ended::Otherwise });
        self.tell(Input::Ended { id, instance, end });
        self.forget_gone();
    }

    pub(super) fn live(&mut self, id: &ServiceId, instance: u64) -> Option<&mut Live> {
        self.units.get_mut(id)?.live.as_mut().filter(|live| live.instance == instance)
    }

    fn signal(&mut self, id: &ServiceId, instance: u64, name: &str) {
        let Some(live) = self.live(id, instance) else { return };
        let sent = match signals::number(name) {
            Some(number) => live.process.signal(number).map_err(|error| error.to_string()),
            None => Err(format!("there is no signal {name}")),
        };
        if let Err(why) = sent {
            tracing::warn!("{id}: {why}");
        }
    }

    /// Kills everything of an instance. Its end is heard by whoever waits for it.
    fn kill(&mut self, id: &ServiceId, instance: u64) {
        let Some(live) = self.live(id, instance) else { return };
        let (process, of) = (Arc::clone(&live.process), id.clone());
        self.tasks.spawn(async move {
            if let Err(error) = process.kill_tree().await {
                tracing::error!("{of}: {error}");
            }
        });
    }

    /// Kills everything that runs.
    pub(super) fn kill_all(&mut self) {
        let live: Vec<(ServiceId, u64)> =
            self.units.iter().filter_map(|(id, unit)| Some((id.clone(), unit.live.as_ref()?.instance))).collect();
        for (id, instance) in live {
            self.kill(&id, instance);
        }
    }

    /// Tells a running service that its dependencies changed: by the file that it was told of, and its signal.
    fn reload_service(&mut self, id: &ServiceId, instance: u64, dependencies: &[Resolved]) {
        self.records.told(id, dependencies);
        let told = self.told(dependencies);
        if let Some(file) = self.dependencies_file(id) {
            self.tell_dependencies(id, &file, &told);
        }
        let signal = self.definition(id).and_then(|service| service.reload_signal.clone());
        if let Some(signal) = signal {
            self.signal(id, instance, &signal);
        }
    }

    /// Where a service that can be told while it runs finds its dependencies.
    fn dependencies_file(&self, id: &ServiceId) -> Option<PathBuf> {
        self.definition(id)?.reload_signal.as_ref()?;
        Some(self.directory.join(DEPENDENCIES).join(format!("{}.json", file_name(&id.name))))
    }

    /// Writes what a service is told of its dependencies. Where that fails, as on a full disk, it runs all the same: it was
    /// told by its environment what was so at its start.
    fn tell_dependencies(&self, id: &ServiceId, file: &Path, told: &BTreeMap<String, String>) {
        if let Err(error) = write_whole(file, told) {
            tracing::warn!("{id}: what it is told of its dependencies cannot be written: {error}");
        }
    }

    /// A service as it runs, otherwise as it would be started.
    pub(super) fn definition(&self, id: &ServiceId) -> Option<&Service> {
        let own = self.units.get(id).map(|unit| unit.live.as_ref().map_or(&*unit.service, |live| &*live.service));
        own.or_else(|| self.fleet.service(id))
    }

    fn log_spec(&self, id: &ServiceId) -> LogSpec {
        let rules = self.units.get(id).map(|unit| unit.service.logs.clone()).unwrap_or_default();
        LogSpec {
            service: id.name.clone(),
            logs: self.directory.join(LOGS),
            pipes: self.directory.join(PIPES),
            rules,
            clock: Arc::new(self.spec.clock),
        }
    }

    fn changed(&mut self, change: Noted, now: Duration) {
        let change = self.journal.note(change, now, self.clocks.now());
        self.states.send_modify(|states| {
            Arc::make_mut(states).insert(change.id.clone(), change.to);
        });
    }
}

/// Writes a file of which no reader sees a part.
fn write_whole(file: &Path, told: &BTreeMap<String, String>) -> std::io::Result<()> {
    let fresh = file.with_extension("json.new");
    fs_err::create_dir_all(file.parent().unwrap_or(file))?;
    fs_err::write(&fresh, serde_json::to_vec_pretty(told)?)?;
    fs_err::rename(&fresh, file)
}

fn end_of(end: masque_sandbox::service::ServiceEnd) -> End {
    use masque_sandbox::service::ServiceEnd;
    match end {
        ServiceEnd::Code(code) => End::Code(code),
        ServiceEnd::Signal(number) => End::Signal(number),
        ServiceEnd::Unknown => End::Unknown,
    }
}
