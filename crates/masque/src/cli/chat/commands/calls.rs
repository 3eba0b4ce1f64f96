//! `/expand` and `/diff`: what calls did, whole.

use masque_app::Error;

use super::{Command, Done, Takes};
use crate::cli::chat::session::{After, Session};

pub(super) const EXPAND: Command = Command {
    name: "expand",
    hint: "[N]",
    about: "Show the last call whole, or the one N calls before it",
    takes: Takes::Text,
    run: expand,
};

pub(super) const DIFF: Command = Command {
    name: "diff",
    hint: "[PATH]",
    about: "Show what calls changed in files since the session was opened here",
    takes: Takes::Text,
    run: diff,
};

fn expand<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        let back = match rest {
            "" => 0,
            number => number.parse().map_err(|_| Error::usage(format!("`{number}` is no number of calls")))?,
        };
        if !session.view.expand(back) {
            session.view.note("there is no such call in what is shown here");
        }
        Ok(After::Stay)
    })
}

fn diff<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        let changes = session.view.changes();
        let mut shown = 0;
        for change in changes.iter().filter(|change| rest.is_empty() || change.path == rest) {
            session.view.lines(&change.lines(usize::MAX));
            shown += 1;
        }
        if shown == 0 {
            session.view.note("fs.write and fs.edit changed nothing since the session was opened here");
        }
        Ok(After::Stay)
    })
}
