//! The terminal's own settings: what it can do, and silence while a turn is under way.
//!
//! Leaves out drawing.

use std::io::{self, IsTerminal as _};

use masque_app::host::Host;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::chat::screen::Abilities;

/// What the terminal can do and the person wants.
pub(crate) fn abilities(host: &Host) -> Abilities {
    let is_dumb = host.variable("TERM").is_none_or(|terminal| terminal == "dumb");
    let moves = io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb;
    Abilities { colour: moves && host.variable("NO_COLOR").is_none(), moves }
}

/// While this lives, what is typed is not shown: it would stand in the middle of the answer. It waits for the next
/// prompt. Ctrl-C works as ever.
pub(crate) struct Quiet(Option<Termios>);

impl Quiet {
    pub(crate) fn begin() -> Self {
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        let changed = tcsetattr(io::stdin(), OptionalActions::Now, &quiet);
        Self(changed.ok().map(|()| before))
    }

    /// Puts the settings back.
    pub(crate) fn restore(&self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.restore();
    }
}
