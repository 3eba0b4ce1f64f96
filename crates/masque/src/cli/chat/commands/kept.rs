//! `/save`, `/resume`, `/fork`, `/clear`, `/end` and `/quit`: sessions that are kept, and how they end.

use masque_app::{Error, forks::Fork};

use super::{Command, Done, Takes, rows};
use crate::{
    cli::chat::{
        front::Front,
        session::{After, Session},
    },
    exit::Exit,
    render::style,
};

pub(super) const SAVE: Command = Command {
    name: "save",
    hint: "[NAME]",
    about: "Give the session a name; it is kept with or without one",
    takes: Takes::Text,
    run: save,
};

pub(super) const RESUME: Command = Command {
    name: "resume",
    hint: "[NAME | RUN | last]",
    about: "List the sessions of this directory, or go on with one",
    takes: Takes::Session,
    run: resume,
};

pub(super) const FORK: Command = Command {
    name: "fork",
    hint: "[EVENT]",
    about: "Go on in a copy, from here or from an earlier event; this session stays as it is",
    takes: Takes::Text,
    run: fork,
};

pub(super) const CLEAR: Command = Command {
    name: "clear",
    hint: "",
    about: "Park the session and begin a new one with the same persona",
    takes: Takes::Nothing,
    run: clear,
};

pub(super) const END: Command =
    Command { name: "end", hint: "", about: "End the session for good", takes: Takes::Nothing, run: end };

pub(super) const QUIT: Command =
    Command { name: "quit", hint: "", about: "Leave; the session is kept", takes: Takes::Nothing, run: quit };

fn save<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        if rest.contains(char::is_whitespace) || rest == "last" || rest.starts_with("run_") {
            return Err(Error::usage(format!("`{rest}` cannot be a name")).hint("one word, not `last` and no run's id"));
        }
        if !rest.is_empty() {
            session.front.name = Some(rest.to_owned());
        }
        session.remember()?;
        session.know();
        let name = session.front.name.clone();
        match (session.front.run, name) {
            (None, None) => session.view.note("nothing was said yet; what you say is kept by itself"),
            (None, Some(name)) => session.view.note(&format!("it will be kept as {name}")),
            (Some(run), name) => {
                let name = name.unwrap_or_else(|| run.to_string());
                session.view.note(&format!("kept; go on with it any time: masque chat --resume {name}"));
            }
        }
        Ok(After::Stay)
    })
}

fn resume<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        if rest.is_empty() {
            session.list_sessions().await?;
            return Ok(After::Stay);
        }
        let run = session.app.find_session(&session.sessions, rest).await?.id;
        session.go_on(run).await
    })
}

fn fork<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        let Some(parent) = session.front.run else {
            return Err(Error::usage("nothing was said yet: there is nothing to copy"));
        };
        let at = match rest {
            "" => None,
            event => Some(event.parse().map_err(|_| {
                Error::usage(format!("`{event}` is no event")).hint(format!("masque runs show {parent} numbers them"))
            })?),
        };
        session.put_away().await?;
        let forked = session.app.fork(&session.actor, parent, Fork { at, ..Fork::default() }).await?;
        let name = session.front.name.clone();
        let after = session.go_on(forked.run).await?;
        session.view.note(&format!(
            "this is a copy of {} from event {}; /resume goes back to it",
            name.unwrap_or_else(|| parent.to_string()),
            forked.at
        ));
        for (tool, call) in &forked.effects_after {
            session.view.note(&format!("done after that event, and it stays done: {tool} ({call})"));
        }
        Ok(after)
    })
}

fn clear<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        session.put_away().await?;
        let parked = session.front.run;
        // From the file: what a conversation keeps has the instructions of its beginning in it.
        let persona = session.persona(&session.front.persona.name).unwrap_or_else(|_| session.front.persona.clone());
        session.front = Front::new(persona);
        session.turn_over = true;
        session.know();
        session.view.clear();
        if let Some(run) = parked {
            session.view.note(&format!("a new session; the one before is kept: /resume {run}"));
        }
        Ok(After::Stay)
    })
}

fn end<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        session.put_away().await?;
        if let Some(run) = session.front.run.take() {
            session.app.finish_conversation(&session.actor, run).await?;
            session.sessions.remove(run)?;
            session.view.note(&format!("ended: masque runs show {run}"));
        }
        Ok(After::Leave(Exit::Success))
    })
}

fn quit<'a>(_: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async { Ok(After::Leave(Exit::Success)) })
}

impl Session<'_> {
    async fn list_sessions(&mut self) -> Result<(), Error> {
        let (now, here) = (self.app.now(), self.front.run);
        let open = self.app.open_sessions(&self.sessions).await?;
        let list: Vec<_> = open
            .iter()
            .map(|(session, run)| {
                let name = session.name.clone().unwrap_or_else(|| session.run.to_string());
                let mark =
                    if Some(session.run) == here { "← here".to_owned() } else { style::age(now, run.updated_at) };
                [name, session.persona.clone(), mark, style::shortened(&run.title, 60)]
            })
            .collect();
        if list.is_empty() {
            self.view.note("no sessions are kept for this directory");
            return Ok(());
        }
        let columns = crate::chat::screen::size().columns.saturating_sub(1);
        self.view.lines(&rows(&list).iter().map(|line| line.clipped(columns)).collect::<Vec<_>>());
        self.view.note("/resume NAME or RUN goes on with one");
        Ok(())
    }

    /// Puts another conversation in front, and goes on with a turn that was under way in it.
    async fn go_on(&mut self, run: masque_types::id::RunId) -> Result<After, Error> {
        if self.front.run == Some(run) {
            self.view.note("you are in it");
            return Ok(After::Stay);
        }
        self.put_away().await?;
        self.open(run).await?;
        if self.turn_over { Ok(After::Stay) } else { self.watch(run).await }
    }
}
