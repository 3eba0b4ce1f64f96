//! What clients ask, answered. Leaves out rolling replacement, which takes its time.

use masque_fleet::model::{Dependency, Fallback, Service, ServiceId, Start};

use super::{LOGS, Runner, event::Event, reload::Answered, report};
use crate::{
    Error,
    control::{Answer, Asked, Explanation, Feed, Reply, Request, Target, Then},
    machine::{Input, Selection},
};

/// Changes that an explanation tells.
const EXPLAINED_CHANGES: usize = 12;
/// Lines that an explanation tells.
const EXPLAINED_LINES: usize = 8;

impl Runner {
    /// Answers a client, now or when what it asks for is done.
    pub(super) fn answer(&mut self, asked: Asked) {
        let Asked { request, reply } = asked;
        let result = match request {
            Request::Status => return self.tell_status(reply),
            Request::Changes { after, follow } => Ok(self.changes(after, follow)),
            Request::Logs { services, lines, follow } => self.logs(&services, lines, follow),
            Request::Up { target } => self.up(target),
            Request::Down { target } => self.down(target),
            Request::Restart { target, rolling: false } => self.restart(target),
            Request::Restart { target, rolling: true } => return self.begin_roll(target, reply),
            Request::Why { service } => return self.explain(&service, reply),
            Request::Reload => return self.begin_reload(Some(reply)),
            Request::Shutdown => {
                // A client may have gone.
                let _ = reply.send(Ok(Reply::done(Vec::new())));
                return self.take(Event::Stop);
            }
        };
        let _ = reply.send(result);
    }

    fn changes(&self, after: u64, follow: bool) -> Reply {
        let answers = self.journal.after(after).cloned().map(Answer::Change).collect();
        let then = if follow { Then::Changes(self.journal.follow()) } else { Then::Done };
        Reply { answers, then }
    }

    fn logs(&mut self, services: &[String], lines: usize, follow: bool) -> Result<Reply, Error> {
        let ids = match services {
            [] => self.units.keys().cloned().collect(),
            names => self.find_all(names)?,
        };
        let logs = self.directory.join(LOGS);
        let feeds = ids.iter().filter_map(|id| Some(self.units.get(id)?.feed(logs.clone())));
        Ok(Reply { answers: Vec::new(), then: Then::Logs { feeds: feeds.collect(), lines, follow } })
    }

    fn up(&mut self, target: Target) -> Result<Reply, Error> {
        self.refuse_while_ending()?;
        let selection = self.select(target)?;
        match &selection {
            Selection::All | Selection::AllBut(_) => self.records.want_all(),
            _ => self.with_needs(self.selected(&selection)).iter().for_each(|id| self.records.release(id)),
        }
        self.note_standbys(&selection);
        self.tell_missing();
        self.tell(Input::Up(selection));
        Ok(Reply::done(Vec::new()))
    }

    fn down(&mut self, target: Target) -> Result<Reply, Error> {
        let selection = self.select(target)?;
        self.selected(&selection).iter().for_each(|id| self.records.hold(id));
        self.tell(Input::Down(selection));
        Ok(Reply::done(Vec::new()))
    }

    fn restart(&mut self, target: Target) -> Result<Reply, Error> {
        self.refuse_while_ending()?;
        let selection = self.select(target)?;
        // What was stopped is started by name only.
        if let Selection::Services(ids) = &selection {
            ids.iter().for_each(|id| self.records.release(id));
        }
        self.note_standbys(&selection);
        self.tell_missing();
        self.tell(Input::Restart(selection));
        Ok(Reply::done(Vec::new()))
    }

    /// Notes which standbys are to run because somebody named them: the next supervisor has to know.
    fn note_standbys(&mut self, selection: &Selection) {
        let Selection::Services(ids) = selection else { return };
        let is_standby = |id: &&ServiceId| self.units.get(*id).is_some_and(|unit| unit.service.start == Start::Standby);
        for id in ids.iter().filter(is_standby) {
            self.records.want(id);
        }
    }

    /// Services of this supervisor with those that they need, and that these need.
    pub(super) fn with_needs(&self, mut ids: Vec<ServiceId>) -> Vec<ServiceId> {
        let mut next = 0;
        while let Some(unit) = ids.get(next).map(|id| self.units.get(id)) {
            let needs = unit.map(|unit| unit.service.dependencies.as_slice()).unwrap_or_default();
            let own = needs.iter().map(|need| &need.on).filter(|on| self.units.contains_key(*on));
            let new: Vec<ServiceId> = own.filter(|on| !ids.contains(on)).cloned().collect();
            ids.extend(new);
            next += 1;
        }
        ids
    }

    /// Explains a service; its log is read beside the loop.
    fn explain(&mut self, name: &str, reply: Answered) {
        let (mut explanation, feed) = match self.explanation(name) {
            Ok(explained) => explained,
            // A client may have gone.
            Err(error) => return drop(reply.send(Err(error))),
        };
        self.tasks.spawn(async move {
            let printed = tokio::task::spawn_blocking(move || feed.tail(EXPLAINED_LINES)).await;
            // Where they cannot be read, there is more to mend than this.
            explanation.printed = printed.ok().and_then(Result::ok).unwrap_or_default();
            drop(reply.send(Ok(Reply::done(vec![Answer::Explanation(Box::new(explanation))]))));
        });
    }

    fn explanation(&mut self, name: &str) -> Result<(Explanation, Feed), Error> {
        let id = self.find(name)?;
        self.tell(Input::Tick);
        let service = self.status_of(&id).ok_or_else(|| Error::Refused(unknown(name)))?;
        let mut changes: Vec<_> = self.journal.after(0).rev().filter(|change| change.id == id).cloned().collect();
        changes.truncate(EXPLAINED_CHANGES);
        changes.reverse();
        let explanation = Explanation {
            service,
            waits: report::waits(&self.board, &id, |id| self.elsewhere.get(id).copied()),
            dependants: self.dependants(&id),
            changes,
            printed: Vec::new(),
        };
        let unit = self.units.get(&id).ok_or_else(|| Error::Refused(unknown(name)))?;
        Ok((explanation, unit.feed(self.directory.join(LOGS))))
    }

    fn dependants(&self, id: &ServiceId) -> Vec<ServiceId> {
        let stands_in = |dependency: &Dependency| {
            dependency.fallback.iter().any(|fallback| matches!(fallback, Fallback::Service(other) if other == id))
        };
        let needs = |service: &&Service| service.dependencies.iter().any(|d| d.on == *id || stands_in(d));
        self.fleet.services.iter().filter(needs).map(|service| service.id.clone()).collect()
    }

    fn refuse_while_ending(&self) -> Result<(), Error> {
        if self.is_ending() {
            return Err(Error::Refused("the supervisor is ending; start it again when it has".to_owned()));
        }
        Ok(())
    }

    /// The services that a request means, as the machine takes them.
    pub(super) fn select(&self, target: Target) -> Result<Selection, Error> {
        match target {
            Target::All => Ok(self.all()),
            Target::Services(names) => Ok(Selection::Services(self.find_all(&names)?)),
            Target::Group(group) => {
                let is_here = self.units.values().any(|unit| unit.service.group.as_ref() == Some(&group));
                let refused = || Error::Refused(format!("no service of a group `{group}` is supervised here"));
                is_here.then_some(Selection::Group(group.clone())).ok_or_else(refused)
            }
        }
    }

    /// Everything that is wanted at all.
    fn all(&self) -> Selection {
        match self.gone.is_empty() {
            true => Selection::All,
            false => Selection::AllBut(self.gone.iter().cloned().collect()),
        }
    }

    pub(super) fn selected(&self, selection: &Selection) -> Vec<ServiceId> {
        match selection {
            Selection::All => self.units.keys().cloned().collect(),
            Selection::AllBut(ids) => self.units.keys().filter(|id| !ids.contains(id)).cloned().collect(),
            Selection::Services(ids) => ids.clone(),
            Selection::Group(group) => {
                let of_group = self.units.values().filter(|unit| unit.service.group.as_ref() == Some(group));
                of_group.map(|unit| unit.service.id.clone()).collect()
            }
        }
    }

    fn find_all(&self, names: &[String]) -> Result<Vec<ServiceId>, Error> {
        names.iter().map(|name| self.find(name)).collect()
    }

    /// The service of that name that is supervised here.
    fn find(&self, name: &str) -> Result<ServiceId, Error> {
        let id = self.fleet.resolve(name, &self.spec.host).map(|service| service.id.clone());
        match id {
            Some(id) if self.units.contains_key(&id) => Ok(id),
            Some(id) if id.host != self.spec.host => {
                Err(Error::Refused(format!("{id} is supervised on {}, not here; ask there", id.host)))
            }
            Some(id) => Err(Error::Refused(format!("{id} is supervised with its group, not here; ask there"))),
            None => Err(Error::Refused(self.suggest(name))),
        }
    }

    fn suggest(&self, name: &str) -> String {
        let like = |id: &&ServiceId| (strsim::jaro_winkler(name, &id.name) * 1_000.0) as u64;
        let best = self.units.keys().max_by_key(like).filter(|id| like(id) > 800);
        let suggestion = best.map(|id| format!("; did you mean `{}`?", id.name)).unwrap_or_default();
        format!("{}{suggestion}", unknown(name))
    }
}

fn unknown(name: &str) -> String {
    format!("the fleet has no service `{name}` here")
}
