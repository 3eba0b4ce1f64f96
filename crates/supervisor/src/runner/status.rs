//! Where the services stand: of this supervisor, and with those of others around it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use masque_fleet::{
    model::ServiceId,
    status::{FleetStatus, HostStatus, Reach, ServiceStatus},
};
use masque_sandbox::service::{ProcessTable, ServiceProcess};
use tokio::sync::oneshot;

use super::{Runner, report};
use crate::{
    Error,
    control::{Answer, Reply},
    machine::Input,
};

/// How long other supervisors may take to tell about theirs.
const PATIENCE: Duration = Duration::from_millis(700);

impl Runner {
    /// Tells a client about the whole fleet, when everybody has answered.
    pub(super) fn tell_status(&mut self, reply: oneshot::Sender<Result<Reply, Error>>) {
        let own = self.own();
        let (fleet, at) = (self.fleet.name.clone(), self.clocks.now());
        let link = self.link.clone();
        self.tasks.spawn(async move {
            let others = async {
                match &link {
                    Some(link) => link.hosts(PATIENCE).await,
                    None => Vec::new(),
                }
            };
            let (mut here, others) = tokio::join!(own.measured(), others);
            let mut hosts: Vec<HostStatus> = Vec::new();
            for other in others {
                // Another supervisor of this very host has a part of its services.
                if other.host == here.host {
                    here.services.extend(other.services);
                } else {
                    hosts.push(other);
                }
            }
            hosts.insert(0, here);
            let status = FleetStatus { fleet, at, hosts };
            // A client may have gone.
            let _ = reply.send(Ok(Reply::done(vec![Answer::Status(Box::new(status))])));
        });
    }

    /// Tells another supervisor about the services here.
    pub(super) fn describe(&mut self, reply: oneshot::Sender<HostStatus>) {
        let own = self.own();
        self.tasks.spawn(async move {
            // It may have gone.
            let _ = reply.send(own.measured().await);
        });
    }

    /// One of the services here, without its memory.
    pub(super) fn status_of(&self, id: &ServiceId) -> Option<ServiceStatus> {
        let (unit, view) = (self.units.get(id)?, self.board.view(id)?);
        let dropped = unit.log.as_ref().map_or(0, |log| log.dropped_bytes());
        Some(report::status(&unit.service, view, dropped, &self.clocks))
    }

    /// The services here, and what has to be measured about them.
    fn own(&mut self) -> Own {
        self.tell(Input::Tick);
        let ids = self.fleet.services.iter().map(|service| &service.id).filter(|id| self.units.contains_key(id));
        // What a new manifest has no more is told until it has ended.
        let ids = ids.chain(self.gone.iter().filter(|id| self.units.contains_key(id)));
        let services: Vec<ServiceStatus> = ids.filter_map(|id| self.status_of(id)).collect();
        let live =
            self.units.iter().filter_map(|(id, unit)| Some((id.clone(), Arc::clone(&unit.live.as_ref()?.process))));
        let processes = live.collect();
        let status = HostStatus { services, supervisor: Some(std::process::id()), ..nothing(self.spec.host.clone()) };
        Own { status, processes }
    }
}

/// A host about which nothing is told.
pub(super) fn nothing(host: String) -> HostStatus {
    HostStatus { host, reach: Reach::Here, supervisor: None, age: Duration::ZERO, services: Vec::new() }
}

/// The services here before their memory is measured.
struct Own {
    status: HostStatus,
    processes: BTreeMap<ServiceId, Arc<ServiceProcess>>,
}

impl Own {
    /// Measures the memory of the processes, which takes some milliseconds, beside the loop.
    async fn measured(mut self) -> HostStatus {
        let processes = self.processes;
        let measure = move || {
            let table = ProcessTable::read().ok()?;
            Some(processes.iter().map(|(id, process)| (id.clone(), process.memory_bytes(&table))).collect())
        };
        let memory: Option<BTreeMap<ServiceId, u64>> = tokio::task::spawn_blocking(measure).await.ok().flatten();
        for service in &mut self.status.services {
            service.memory_bytes = memory.as_ref().and_then(|memory| memory.get(&service.id).copied());
        }
        self.status
    }
}
