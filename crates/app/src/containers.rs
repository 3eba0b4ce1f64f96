//! Containers as a place for programs: which engine, and the part of Masque that runs inside of them.

use std::{collections::BTreeMap, ffi::OsString};

use masque_sandbox::Launcher;
use masque_tools::environment::Containers;

use crate::{Error, config::Settings, host::Host};

/// Variables that a Podman service of our own needs to find its storage and its helpers.
const SERVICE_VARIABLES: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DBUS_SESSION_BUS_ADDRESS",
];
/// Variables that name the socket of an engine, as their own programs read them.
const SOCKET_VARIABLES: [&str; 2] = ["CONTAINER_HOST", "DOCKER_HOST"];

/// The containers of this process. Looks for nothing yet.
pub(crate) fn of(host: &Host, settings: &Settings, launcher: &Launcher) -> Containers {
    let environment: BTreeMap<OsString, OsString> = SERVICE_VARIABLES
        .iter()
        .filter_map(|name| Some((OsString::from(name), OsString::from(host.variable(name)?))))
        .collect();
    Containers::new(socket(host, settings), environment, launcher.clone())
}

/// The socket that is configured or named by a variable.
pub(crate) fn socket(host: &Host, settings: &Settings) -> Option<String> {
    let configured = Some(settings.text("sandbox.engine")).filter(|text| !text.is_empty());
    configured.or_else(|| SOCKET_VARIABLES.iter().find_map(|name| host.variable(name)).map(str::to_owned))
}

/// Whether a Podman service of our own can be started where no engine answers: no socket is named, and Podman is there.
pub(crate) fn can_serve(host: &Host, settings: &Settings) -> bool {
    let path = host.variable("PATH").unwrap_or_default();
    socket(host, settings).is_none() && std::env::split_paths(path).any(|directory| directory.join("podman").is_file())
}

/// What `masque` does as the first process of a container, and as the supervisor of a program there. Must be called
/// before anything else was started.
///
/// # Errors
/// When it was not started in a container by Masque.
pub fn inside() -> Result<(), Error> {
    masque_container::inside::run().map_err(|error| Error::environment(error.to_string()))
}
