//! `/persona` and `/handoff`: who is talked to, and who works.

use std::collections::BTreeMap;

use masque_app::{Error, Kind, handoff::Pack};
use masque_types::child::{Expected, HistoryShare};

use super::{Command, Done, Takes};
use crate::{
    chat::text::Line,
    cli::chat::{
        front::Front,
        input::first_word,
        session::{After, Session},
    },
    render::style::{self, BOLD, DIM},
};

pub(super) const PERSONA: Command = Command {
    name: "persona",
    hint: "[NAME [TASK] | -]",
    about: "List personas, talk to another one, go back, or have one do a task and tell the result here",
    takes: Takes::Persona,
    run: persona,
};

pub(super) const HANDOFF: Command = Command {
    name: "handoff",
    hint: "NAME TASK",
    about: "Hand the work over to a persona with what was said here, and talk to it",
    takes: Takes::Persona,
    run: handoff,
};

fn persona<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        match first_word(rest) {
            ("", _) => session.list_personas().await?,
            ("-", _) => session.go_back().await?,
            (name, "") => session.switch(name).await?,
            (name, task) => return session.call(name, task).await,
        }
        Ok(After::Stay)
    })
}

fn handoff<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        let (name, task) = first_word(rest);
        if name.is_empty() || task.is_empty() {
            return Err(Error::usage("whom, and what for?").hint("/handoff NAME TASK"));
        }
        Box::pin(session.hand_over(name, task)).await
    })
}

impl Session<'_> {
    async fn list_personas(&mut self) -> Result<(), Error> {
        let open = self.app.open_sessions(&self.sessions).await?;
        let mut lines = Vec::new();
        for loaded in self.catalog.personas.iter().filter(|loaded| !loaded.shadowed) {
            let name = &loaded.persona.name;
            let parked =
                open.iter().filter(|(session, _)| session.persona == *name && Some(session.run) != self.front.run);
            let here = match (self.front.persona.name == *name, parked.count()) {
                (true, _) => " ← here".to_owned(),
                (false, 0) => String::new(),
                (false, count) => format!(" ({count} parked)"),
            };
            let line = Line::plain("  ").with(name, BOLD).with(&here, style::HINT);
            lines.push(line.with(&format!("  {}", loaded.persona.description), DIM));
        }
        let columns = crate::chat::screen::size().columns.saturating_sub(1);
        self.view.lines(&lines.iter().map(|line| line.clipped(columns)).collect::<Vec<_>>());
        self.view.note("/persona NAME talks to one; /persona NAME TASK has it do something and comes back");
        Ok(())
    }

    /// Parks what is in front and talks to another persona: where its parked session stopped, or anew.
    async fn switch(&mut self, name: &str) -> Result<(), Error> {
        let persona = self.persona(name)?;
        if persona.name == self.front.persona.name {
            self.view.note(&format!("you talk to {name} already; /clear begins a new session"));
            return Ok(());
        }
        self.put_away().await?;
        let parked = self.app.open_sessions(&self.sessions).await?;
        let parked = parked.iter().find(|(session, _)| session.persona == name).map(|(session, _)| session.run);
        let before = self.front.clone();
        match parked {
            Some(run) => self.open(run).await?,
            None => {
                self.front = Front::new(persona);
                self.turn_over = true;
                self.know();
            }
        }
        self.front.back = before.run;
        self.remember()?;
        self.view.note(&format!("{} is parked; /persona - goes back to it", before.persona.name));
        self.behind.push(before);
        Ok(())
    }

    /// Goes back to what was in front before.
    async fn go_back(&mut self) -> Result<(), Error> {
        let back = self.behind.last().cloned();
        if back.is_none() && self.front.back.is_none() {
            return Err(Error::usage("nothing was in front before this").hint("/persona NAME talks to another persona"));
        }
        self.put_away().await?;
        match (self.behind.pop(), self.front.back) {
            (Some(Front { run: Some(run), .. }), _) | (None, Some(run)) => self.open(run).await?,
            (Some(front), _) => {
                self.front = front;
                self.turn_over = true;
                self.know();
            }
            (None, None) => {}
        }
        self.view.note(&format!("back to {}", self.front.persona.name));
        Ok(())
    }

    /// Hands the work over: the other persona gets what it may know of this conversation, and is in front.
    async fn hand_over(&mut self, name: &str, task: &str) -> Result<After, Error> {
        let persona = self.persona(name)?;
        let package = self.packed(name, task).await?;
        let briefing = self.app.inspect(&package)?.handoff.briefing();
        let before = self.front.clone();
        self.put_away().await?;
        self.front = Front { back: before.run, ..Front::new(persona) };
        self.turn_over = true;
        self.know();
        self.view.note(&format!("{} is parked; /persona - goes back to it", before.persona.name));
        self.behind.push(before);
        let run = self.begin(briefing).await?;
        self.watch(run).await
    }

    /// The task with the last words of this conversation; without them when the persona keeps them to itself.
    async fn packed(&mut self, name: &str, task: &str) -> Result<Vec<u8>, Error> {
        let pack = |history| Pack {
            task: task.to_owned(),
            target: name.to_owned(),
            from: self.front.run,
            history,
            workspace: self.workspace.clone(),
            artifacts: Vec::new(),
            environment: BTreeMap::new(),
            expected: Expected::Text,
            timeout_ms: None,
        };
        match self.app.pack(&self.actor, pack(HistoryShare::Recent)).await {
            Err(error) if error.kind == Kind::Refused => {
                let package = self.app.pack(&self.actor, pack(HistoryShare::None)).await?;
                self.view.note(&format!("{error}: only the task is handed over"));
                Ok(package)
            }
            packed => packed,
        }
    }
}
