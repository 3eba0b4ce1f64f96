//! Errors of use cases as clients see them: what is wrong and what to do, and to those outside of this machine nothing
//! about its files.

use masque_app::{App, Error, Kind};
use masque_types::actor::{Caller, Reach};
use rmcp::{
    ErrorData,
    model::{CallToolResult, ErrorCode},
};

use super::tool::refused;

/// An error as the result of a tool, for the model to read.
pub(crate) fn for_model(app: &App, caller: &Caller, error: &Error) -> CallToolResult {
    refused(text(app, caller, error))
}

/// An error as an error of the protocol, where there is no tool whose result it could be.
pub(crate) fn for_client(app: &App, caller: &Caller, error: &Error) -> ErrorData {
    let code = match error.kind {
        Kind::Usage => ErrorCode::INVALID_PARAMS,
        Kind::Refused => ErrorCode::INVALID_REQUEST,
        Kind::Environment => ErrorCode::INTERNAL_ERROR,
    };
    ErrorData::new(code, text(app, caller, error), None)
}

fn text(app: &App, caller: &Caller, error: &Error) -> String {
    if caller.reach == Reach::Local {
        return with_hints(error);
    }
    if error.kind == Kind::Environment {
        // What failed inside is for whoever runs the server.
        tracing::error!(%error, "a request of {} could not be served", caller.actor);
        return "the server could not do it; its log says why".to_owned();
    }
    without_places(app, &with_hints(error))
}

fn with_hints(error: &Error) -> String {
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    std::iter::once(error.message.clone()).chain(hints).collect()
}

/// A text without where things are on this machine.
fn without_places(app: &App, text: &str) -> String {
    let home = app.host.variable("HOME").unwrap_or_default();
    let places = [
        (app.host.directory.display().to_string(), "."),
        (app.host.home.display().to_string(), "<masque>"),
        (app.host.config.display().to_string(), "<config>"),
        (home.to_owned(), "~"),
    ];
    let replaced = places.iter().filter(|(place, _)| place.len() > 1);
    replaced.fold(text.to_owned(), |text, (place, short)| text.replace(place.as_str(), short))
}
