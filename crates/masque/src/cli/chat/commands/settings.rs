//! `/model` and `/mode`: what holds from the next words on.

use masque_app::Error;
use masque_types::{model::ModelRef, policy::Mode};

use super::{Command, Done, Takes, rows};
use crate::cli::chat::session::{After, Session};

pub(super) const MODEL: Command = Command {
    name: "model",
    hint: "[PROVIDER/MODEL, …]",
    about: "Show the models asked, first choice first, or ask others from the next words on",
    takes: Takes::Model,
    run: model,
};

pub(super) const MODE: Command = Command {
    name: "mode",
    hint: "[plan | default | accept-edits | auto]",
    about: "Show or change what is done where no rule speaks",
    takes: Takes::Mode,
    run: mode,
};

fn model<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        if rest.is_empty() {
            session.show_models().await?;
            return Ok(After::Stay);
        }
        let names = rest.split(',').map(str::trim).filter(|name| !name.is_empty());
        let models: Vec<ModelRef> = names
            .map(str::parse)
            .collect::<Result<_, masque_types::model::ParseModelRefError>>()
            .map_err(|error| Error::usage(error.to_string()))?;
        let gateway = session.app.gateway(&models).await?;
        for model in &models {
            gateway.usable(model).map_err(|reason| Error::refused(format!("{model}: {reason}")))?;
        }
        session.front.models = models;
        session.view.note(&format!("{rest} is asked from the next words on"));
        Ok(After::Stay)
    })
}

fn mode<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        if rest.is_empty() {
            let now = session.status().await?.mode;
            let row = |mode: &Mode| {
                let here = if *mode == now { "← now" } else { "" };
                [mode.name().to_owned(), meaning(*mode).to_owned(), here.to_owned()]
            };
            session.view.lines(&rows(&Mode::ALL.iter().map(row).collect::<Vec<_>>()));
            return Ok(After::Stay);
        }
        let mode = Mode::from_name(rest).ok_or_else(|| {
            Error::usage(format!("there is no mode `{rest}`")).hint("plan, default, accept-edits or auto")
        })?;
        if let Some(run) = session.front.run {
            session.app.set_policy(&session.actor, run, Some(mode), Vec::new()).await?;
        }
        session.front.mode = Some(mode);
        session.view.note(&format!("mode {}: {}", mode.name(), meaning(mode)));
        Ok(After::Stay)
    })
}

const fn meaning(mode: Mode) -> &'static str {
    match mode {
        Mode::Plan => "looks and plans; nothing is changed",
        Mode::Default => "asks before what can change something or reach out",
        Mode::AcceptEdits => "edits files in the workspace without asking",
        Mode::Auto => "asks only where a rule says so",
    }
}

impl Session<'_> {
    async fn show_models(&mut self) -> Result<(), Error> {
        let asked = match self.front.run {
            Some(run) if self.front.models.is_empty() => self.app.state(run).await?.route.models.clone(),
            _ if !self.front.models.is_empty() => self.front.models.clone(),
            _ if self.app.settings.models_were_asked_for() => self.app.settings.default_models(),
            _ => self.front.persona.model.prefer.iter().cloned().chain(self.app.settings.default_models()).collect(),
        };
        if asked.is_empty() {
            self.view.note("no model is configured: a local server is asked, if one is found");
        }
        for (place, model) in asked.iter().enumerate() {
            self.view.say(&format!("{}. {model}", place + 1));
        }
        self.view.note("/model PROVIDER/MODEL asks another one; `masque doctor` shows which can be asked");
        Ok(())
    }
}
