//! [`Screen`]: the terminal while the program has all of it. It is given back however the program ends: by its end, by an
//! error, by a panic, by a signal that is listened to.

use std::{
    io::{self, IsTerminal as _, Stdout, stdout},
    panic,
    sync::Once,
};

use masque_app::Error;
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor, execute,
        terminal::{
            BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
            disable_raw_mode, enable_raw_mode,
        },
    },
};

use super::{model::Model, view};

/// The terminal.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter() -> Result<Self, Error> {
        if !stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Error::usage("the full screen needs a terminal")
                .hint("`masque fleet status --watch` and `--json` do without"));
        }
        give_back_on_panic();
        enable_raw_mode()?;
        let entered = execute!(stdout(), EnterAlternateScreen, cursor::Hide);
        let screen = Self(Terminal::new(CrosstermBackend::new(stdout()))?);
        entered?;
        Ok(screen)
    }

    /// Draws what changed since the last picture, at once.
    pub(super) fn draw(&mut self, model: &Model) -> Result<(), Error> {
        execute!(stdout(), BeginSynchronizedUpdate)?;
        let drawn = self.0.draw(|frame| view::draw(frame, model)).map(drop);
        execute!(stdout(), EndSynchronizedUpdate)?;
        Ok(drawn?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back. Where that fails, nothing better can be done.
fn give_back() {
    let _ = execute!(stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// What a panic says is to be read on the usual screen.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            next(info);
        }));
    });
}
