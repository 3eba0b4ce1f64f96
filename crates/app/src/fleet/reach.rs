//! Finding the supervisor of a [`Place`]: its own, or one that has more than the place; and what is said when there is none.

use std::time::Duration;

use masque_fleet::model::{Service, Start};
use masque_supervisor::{
    Error as E,
    control::{Client, LogLine, Target},
    directory::StateDirectory,
    logs::read_tail,
    runner::LOGS,
    services_left,
};
use tokio::time::{Instant, sleep};

use super::{
    Place,
    card::{self, Found},
};
use crate::Error;

/// How long a supervisor that was killed may take to come back.
const RETURNS_WITHIN: Duration = Duration::from_secs(3);
/// How long it may take where its services run on: then a keeper is most likely at work.
const RETURNS_TO_SERVICES_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks whether it has.
const LOOK: Duration = Duration::from_millis(50);

impl Place {
    /// The supervisor that has this place: its own, or one that has more.
    ///
    /// # Errors
    /// When none runs; the message says what is left of it.
    pub async fn connect(&self) -> Result<Client, Error> {
        self.find().await.map_err(|error| self.named(error))
    }

    /// Its supervisor after a connection was lost: the next one, as soon as it answers. None when none comes within some
    /// seconds: the fleet is down.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub async fn reconnect(&self) -> Result<Option<Client>, Error> {
        let began = Instant::now();
        loop {
            match self.find().await {
                Ok(client) => return Ok(Some(client)),
                Err(E::NotRunning { .. }) if began.elapsed() < RETURNS_WITHIN => sleep(LOOK).await,
                Err(E::NotRunning { .. })
                    if began.elapsed() < RETURNS_TO_SERVICES_WITHIN && self.services_left() > 0 =>
                {
                    sleep(LOOK).await;
                }
                Err(E::NotRunning { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many services run, whether or not a supervisor does.
    fn services_left(&self) -> usize {
        let left = StateDirectory::open(&self.directory).and_then(|directory| services_left(&directory));
        left.map_or(0, |left| left.len())
    }

    /// The supervisor of this place and of nothing else, for what concerns all that a supervisor has.
    ///
    /// # Errors
    /// When none runs, or one that has more.
    pub(super) async fn connect_own(&self) -> Result<Client, Error> {
        match self.own().await {
            Err(E::NotRunning { .. }) => {
                Err(self.others().find(|other| other.card.includes(&self.card())).map_or_else(
                    || self.absent(),
                    |other| {
                        other
                            .refusal("that is more than what is meant")
                            .hint("end single services: masque fleet stop SERVICE")
                            .hint(format!("or end all of it: {}", other.card.command("down", &self.card())))
                    },
                ))
            }
            answer => answer.map_err(Error::from),
        }
    }

    /// The process of its supervisor, if one runs.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn supervisor(&self) -> Result<Option<u32>, Error> {
        match StateDirectory::open(&self.directory) {
            Ok(directory) => Ok(directory.supervisor()?),
            Err(E::NotRunning { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses what would start services that another supervisor has already.
    ///
    /// # Errors
    /// When there is such a supervisor; the message says which, the hints how it is steered.
    pub fn refuse_doubles(&self) -> Result<(), Error> {
        let Some(other) = self.others().next() else { return Ok(()) };
        let own = self.card();
        Err(other
            .refusal("its services would run twice")
            .hint(format!("steer what runs: {}", other.card.command("start SERVICE", &own)))
            .hint(format!("or end it first: {}", other.card.command("down", &own))))
    }

    /// The last lines that services printed, from their files: nobody has to run for that.
    ///
    /// # Errors
    /// When there is no such service, or a file cannot be read.
    pub fn printed(&self, names: &[String], lines: usize) -> Result<Vec<LogLine>, Error> {
        let services = match names {
            [] => self.services().collect(),
            names => names.iter().map(|name| self.service(name)).collect::<Result<Vec<_>, _>>()?,
        };
        let mut printed = Vec::new();
        for Service { id, .. } in services {
            let read = read_tail(&self.directory.join(LOGS), &id.name, lines)?;
            printed.extend(read.iter().map(|line| LogLine { id: id.clone(), at: line.at, text: line.text() }));
        }
        printed.sort_by_key(|line| line.at);
        Ok(printed)
    }

    /// What a request for everything means here: the supervisor may have more than this place.
    pub(super) fn narrowed(&self, target: Target) -> Target {
        if target != Target::All || self.groups.is_empty() {
            return target;
        }
        let wanted = self.services().filter(|service| service.start == Start::Always);
        Target::Services(wanted.map(|service| service.id.to_string()).collect())
    }

    fn service(&self, name: &str) -> Result<&Service, Error> {
        let found = self.fleet.resolve(name, &self.host).filter(|service| self.owns(service));
        found.ok_or_else(|| Error::usage(format!("the fleet has no service `{name}` here")))
    }

    /// The supervisor of this place and of nothing else.
    pub(super) async fn own(&self) -> Result<Client, E> {
        Client::connect(&StateDirectory::open(&self.directory)?).await
    }

    async fn find(&self) -> Result<Client, E> {
        match self.own().await {
            Err(E::NotRunning { directory }) => match self.others().find(|it| it.card.includes(&self.card())) {
                Some(other) => Client::connect(&StateDirectory::open(&other.state)?).await,
                None => Err(E::NotRunning { directory }),
            },
            answer => answer,
        }
    }

    /// Supervisors that run and have some of the same services.
    fn others(&self) -> impl Iterator<Item = Found> {
        let own = self.card();
        let is_other =
            move |found: &Found| found.process.is_some() && found.state != self.directory && found.card.overlaps(&own);
        card::all(&self.home).filter(is_other)
    }

    /// Says of what nobody runs, where the supervisor's own error knows a directory only.
    fn named(&self, error: E) -> Error {
        match error {
            E::NotRunning { .. } => self.absent(),
            error => error.into(),
        }
    }

    /// That nobody supervises this, and what there is instead.
    fn absent(&self) -> Error {
        let (fleet, host) = (&self.fleet.name, &self.host);
        if let Some(Found { card, process: Some(process), .. }) = self.others().next() {
            let what = format!("no supervisor has all of this; process {process} supervises {}", card.part());
            return Error::environment(what).hint(format!("ask it: {}", card.command("status", &self.card())));
        }
        match self.services_left() {
            0 => Error::environment(format!("fleet `{fleet}` is not up on host `{host}`"))
                .hint("start it: masque fleet up -d"),
            left => {
                let (noun, verb) = if left == 1 { ("service", "runs") } else { ("services", "run") };
                let what =
                    format!("the supervisor of fleet `{fleet}` on host `{host}` is gone; {left} {noun} {verb} on");
                Error::environment(what)
                    .hint("have a new supervisor adopt them: masque fleet up -d")
                    .hint("or end them: masque fleet up -d && masque fleet down")
            }
        }
    }
}

impl Found {
    fn refusal(&self, why: &str) -> Error {
        Error::refused(format!("process {} supervises {}: {why}", self.process.unwrap_or(0), self.card.part()))
    }
}
