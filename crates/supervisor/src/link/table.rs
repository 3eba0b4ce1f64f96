//! [`Shared`]: what all tasks of a link have in common; [`Table`]: the peers, what they told, and what is still to be
//! told about them.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use masque_fleet::{
    model::ServiceId,
    status::{HostStatus, Reach, State},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    LinkSpec, News, Peer, PeerStatus, Rhythm, Route, States, StatusSource,
    book::{Book, Changes},
    frame::Body,
    greeting::Hello,
};
use crate::Error;

/// Events that wait for a slow reader; of more the oldest are dropped.
const MOST_EVENTS: usize = 256;

/// Between two news about strangers.
const STRANGERS_QUIET: Duration = Duration::from_secs(60);

/// What all tasks of a link have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hello: Hello,
    pub(super) host: String,
    pub(super) rhythm: Rhythm,
    pub(super) status: StatusSource,
    pub(super) stop: CancellationToken,
    /// Wakes the teller.
    pub(super) changed: Notify,
    /// What other hosts are told, and what supervisors of this host are told.
    pub(super) told_outside: watch::Sender<States>,
    pub(super) told_inside: watch::Sender<States>,
    /// Rises with every answer about services, and every connection that ends.
    pub(super) answers: watch::Sender<u64>,
    table: Mutex<Table>,
}

impl Shared {
    pub(super) fn new(spec: &LinkSpec, stop: CancellationToken) -> Self {
        let states = spec.states.borrow().clone();
        Self {
            hello: Hello::new(&spec.fleet, &spec.name),
            host: spec.host.clone(),
            rhythm: spec.rhythm,
            status: spec.status.clone(),
            stop,
            changed: Notify::new(),
            told_outside: watch::Sender::new(states.clone()),
            told_inside: watch::Sender::new(states),
            answers: watch::Sender::new(0),
            table: Mutex::new(Table::new(spec.peers.clone())),
        }
    }

    /// Does something with the table; the teller looks at it afterwards.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        let done = act(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        done
    }

    /// The same, for the teller itself.
    pub(super) fn quietly<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        act(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection to a peer did not come about, or ended with that.
    pub(super) fn trouble(&self, place: usize, error: &Error) {
        self.with(|table| table.trouble(place, error));
    }
}

/// A living connection.
#[derive(Debug)]
struct Connection {
    number: u64,
    stop: CancellationToken,
    ask: watch::Sender<Question>,
}

/// A question about services: its number, and how many further supervisors may be asked for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) hops: u8,
}

/// What a connection is given when it begins.
pub(super) struct Joined {
    pub(super) number: u64,
    pub(super) stop: CancellationToken,
    pub(super) questions: watch::Receiver<Question>,
}

/// The last answer about services.
#[derive(Debug)]
struct Answer {
    to: u64,
    at: Instant,
    hosts: Vec<HostStatus>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    connection: Option<Connection>,
    reach: Reach,
    until: Option<Instant>,
    heard: Option<Instant>,
    trouble: Option<String>,
    answer: Option<Answer>,
}

/// The peers, and what is still to be told about them.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    book: Book,
    pending: Changes,
    events: VecDeque<News>,
    connections: u64,
    questions: u64,
    strangers_told: Option<Instant>,
}

impl Table {
    fn new(peers: Vec<Peer>) -> Self {
        let book = Book::new(peers.len());
        let entries = peers.into_iter().map(|peer| Entry {
            peer,
            connection: None,
            reach: Reach::Unknown,
            until: None,
            heard: None,
            trouble: None,
            answer: None,
        });
        Self {
            entries: entries.collect(),
            book,
            pending: Changes::new(),
            events: VecDeque::new(),
            connections: 0,
            questions: 0,
            strangers_told: None,
        }
    }

    /// The peer at a place of the list.
    pub(super) fn peer(&self, place: usize) -> Option<&Peer> {
        self.entries.get(place).map(|entry| &entry.peer)
    }

    /// The supervisors of this host: place, name.
    pub(super) fn neighbours(&self) -> Vec<(usize, String)> {
        let neighbours = self.entries.iter().enumerate().filter(|(_, entry)| !entry.is_outside());
        neighbours.map(|(place, entry)| (place, entry.peer.name.clone())).collect()
    }

    /// A connection begins; an older one with the same peer ends.
    pub(super) fn join(&mut self, place: usize, parent: &CancellationToken) -> Joined {
        self.connections += 1;
        let (number, stop) = (self.connections, parent.child_token());
        let (ask, questions) = watch::channel(Question::default());
        if let Some(entry) = self.entries.get_mut(place) {
            let connection = Connection { number, stop: stop.clone(), ask };
            if let Some(older) = entry.connection.replace(connection) {
                older.stop.cancel();
            }
        }
        Joined { number, stop, questions }
    }

    /// A connection ended. What was told on it stays good until its lease ends.
    pub(super) fn leave(&mut self, place: usize, number: u64) {
        if let Some(entry) = self.entries.get_mut(place)
            && entry.connection.as_ref().is_some_and(|connection| connection.number == number)
        {
            entry.connection = None;
        }
    }

    /// A peer said something on a connection; it is good until then. What a connection says that was replaced or whose
    /// lease ended counts no more.
    pub(super) fn said(&mut self, place: usize, number: u64, until: Instant, body: Body) -> Result<(), Error> {
        let Some(entry) = self.entries.get_mut(place) else { return Ok(()) };
        if entry.connection.as_ref().is_none_or(|connection| connection.number != number) {
            return Ok(());
        }
        entry.until = entry.until.max(Some(until));
        entry.heard = Some(Instant::now());
        let changes = match body {
            Body::All(states) => {
                entry.check(states.keys())?;
                if mem::replace(&mut entry.reach, Reach::Connected) != Reach::Connected {
                    entry.trouble = None;
                    let peer = entry.peer.name.clone();
                    self.tell(News::Connected { peer });
                }
                self.book.replace(place, states)
            }
            Body::Changes { states, gone } => {
                entry.check(states.keys())?;
                self.book.change(place, states, &gone)
            }
            Body::Answer { to, hosts } => {
                entry.check_hosts(&hosts)?;
                entry.answer = Some(Answer { to, at: Instant::now(), hosts });
                Ok(Changes::new())
            }
            Body::Beat(_) | Body::Heard | Body::Ask { .. } => Ok(Changes::new()),
        };
        self.pending.extend(changes.map_err(Error::Talk)?);
        Ok(())
    }

    /// Ends the leases that are over: what those peers told is not known any more.
    pub(super) fn expire(&mut self, now: Instant) {
        for place in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(place) else { continue };
            if entry.until.is_none_or(|until| until > now) {
                continue;
            }
            entry.until = None;
            if let Some(connection) = entry.connection.take() {
                connection.stop.cancel();
            }
            if mem::replace(&mut entry.reach, Reach::Lost) == Reach::Connected {
                let peer = entry.peer.name.clone();
                self.tell(News::Lost { peer });
            }
            // An empty map is never too large.
            self.pending.extend(self.book.replace(place, BTreeMap::new()).unwrap_or_default());
        }
    }

    /// All leases are good for longer: this supervisor itself stood still, which says nothing about the others.
    pub(super) fn prolong(&mut self, by: Duration) {
        for entry in &mut self.entries {
            entry.until = entry.until.map(|until| until + by);
        }
    }

    /// When the next lease ends.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.until).min()
    }

    /// What peers told that are reached in that way.
    pub(super) fn told_by(&self, outside: bool) -> BTreeMap<ServiceId, State> {
        let peers = self.entries.iter().enumerate();
        self.book.told_by(peers.filter(|(_, entry)| entry.is_outside() == outside).map(|(place, _)| place))
    }

    pub(super) fn has_peers(&self, outside: bool) -> bool {
        self.entries.iter().any(|entry| entry.is_outside() == outside)
    }

    /// A connection did not come about, or ended with an error. What somebody has to mend becomes news.
    pub(super) fn trouble(&mut self, place: usize, error: &Error) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        let why = Some(error.to_string());
        if entry.trouble == why {
            return;
        }
        entry.trouble.clone_from(&why);
        let from = entry.peer.name.clone();
        if let (Error::Talk(_), Some(why)) = (error, why) {
            self.tell(News::Trouble { from, why });
        }
    }

    /// Somebody who is no peer tried to connect. Told once a minute at most.
    pub(super) fn stranger(&mut self, from: String, why: String) {
        let now = Instant::now();
        if self.strangers_told.is_none_or(|told| now >= told + STRANGERS_QUIET) {
            self.strangers_told = Some(now);
            self.tell(News::Trouble { from, why });
        }
    }

    fn tell(&mut self, news: News) {
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(news);
    }

    pub(super) fn has_news(&self) -> bool {
        !self.events.is_empty() || !self.pending.is_empty()
    }

    pub(super) fn take_news(&mut self) -> News {
        let event = self.events.pop_front();
        event.unwrap_or_else(|| News::States(mem::take(&mut self.pending).into_iter().collect()))
    }

    pub(super) fn statuses(&mut self) -> Vec<PeerStatus> {
        let statuses = self.entries.iter().map(|entry| PeerStatus {
            name: entry.peer.name.clone(),
            host: entry.peer.host.clone(),
            reach: entry.reach,
            heard: entry.heard.map(|heard| heard.elapsed()),
            trouble: entry.trouble.clone(),
        });
        statuses.collect()
    }

    /// Asks the peers that are reached in that way, or all of them; the question's number.
    pub(super) fn ask(&mut self, outside: Option<bool>, hops: u8) -> u64 {
        self.questions += 1;
        let question = Question { number: self.questions, hops };
        let asked = self.entries.iter().filter(|entry| outside.is_none_or(|outside| entry.is_outside() == outside));
        for connection in asked.filter_map(|entry| entry.connection.as_ref()) {
            connection.ask.send_replace(question);
        }
        self.questions
    }

    /// Whether all who can answer that question have answered.
    pub(super) fn is_answered(&self, outside: Option<bool>, number: u64) -> bool {
        let asked = self.entries.iter().filter(|entry| outside.is_none_or(|outside| entry.is_outside() == outside));
        let mut open = asked.filter(|entry| entry.connection.is_some());
        open.all(|entry| entry.answer.as_ref().is_some_and(|answer| answer.to >= number))
    }

    /// What those peers told last about services: one status of each told host and peer, and one without services for a
    /// peer that told nothing yet.
    pub(super) fn answers(&self, outside: Option<bool>) -> Vec<HostStatus> {
        let asked = self.entries.iter().filter(|entry| outside.is_none_or(|outside| entry.is_outside() == outside));
        asked.flat_map(Entry::told).collect()
    }
}

impl Entry {
    fn is_outside(&self) -> bool {
        matches!(self.peer.route, Route::Tcp { .. })
    }

    /// Another host tells of its own services only.
    fn check<'a>(&self, mut ids: impl Iterator<Item = &'a ServiceId>) -> Result<(), Error> {
        match ids.find(|id| self.is_outside() && id.host != self.peer.host) {
            Some(id) => Err(Error::Talk(format!("it tells of {id}, which is not a service of {}", self.peer.host))),
            None => Ok(()),
        }
    }

    fn check_hosts(&self, hosts: &[HostStatus]) -> Result<(), Error> {
        if let Some(other) = hosts.iter().find(|host| self.is_outside() && host.host != self.peer.host) {
            return Err(Error::Talk(format!("it tells of the host {:?}; expected {:?}", other.host, self.peer.host)));
        }
        self.check(hosts.iter().flat_map(|host| &host.services).map(|service| &service.id))
    }

    fn told(&self) -> Vec<HostStatus> {
        let Some(answer) = &self.answer else {
            return vec![HostStatus {
                host: self.peer.host.clone(),
                reach: self.reach,
                supervisor: None,
                age: Duration::ZERO,
                services: Vec::new(),
            }];
        };
        let told = answer.hosts.iter().cloned().map(|host| HostStatus {
            // What a peer itself heard of is as far away as it said, if not further.
            reach: if host.reach == Reach::Here || self.reach != Reach::Connected { self.reach } else { host.reach },
            age: host.age.saturating_add(answer.at.elapsed()),
            ..host
        });
        told.collect()
    }
}

/// The statuses of one host from several supervisors become one.
pub(super) fn merge(statuses: impl IntoIterator<Item = HostStatus>) -> Vec<HostStatus> {
    let mut merged: Vec<HostStatus> = Vec::new();
    for status in statuses {
        let Some(known) = merged.iter_mut().find(|known| known.host == status.host) else {
            merged.push(status);
            continue;
        };
        known.age = known.age.max(status.age);
        known.supervisor = known.supervisor.or(status.supervisor);
        if known.services.is_empty() {
            known.reach = status.reach;
        }
        let new = status.services.into_iter().filter(|new| known.services.iter().all(|old| old.id != new.id));
        let new: Vec<_> = new.collect();
        known.services.extend(new);
    }
    merged
}

/// States that are told: this supervisor's own, and those of others that `heard` holds.
pub(super) fn joined(own: &States, heard: BTreeMap<ServiceId, State>) -> States {
    if heard.is_empty() {
        return own.clone();
    }
    let own = own.iter().map(|(id, state)| (id.clone(), *state));
    Arc::new(heard.into_iter().chain(own).collect())
}
