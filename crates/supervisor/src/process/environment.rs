//! The whole environment of a service, in the order in which one overrides the other. Pure.

use std::collections::BTreeMap;

use masque_fleet::model::{Host, Service};

use super::{INSTANCE_VARIABLE, Instance};

/// Where programs are looked up when nobody says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of one start: `PATH`, what is passed on of the supervisor's `own`, the host's and the service's own
/// variables, what it is told of its dependencies, and who it is.
pub(super) fn environment(
    service: &Service,
    host: &Host,
    instance: &Instance,
    dependencies: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([("PATH".to_owned(), own_path(own))]);
    environment.extend(service.port.map(|port| ("PORT".to_owned(), port.to_string())));
    environment.extend(service.listen.clone().map(|listen| ("HOST".to_owned(), listen)));
    let passed = service.program.pass.iter().filter_map(|name| own.get_key_value(name));
    environment.extend(passed.map(|(name, value)| (name.clone(), value.clone())));
    for part in [&host.environment, &service.program.environment, dependencies] {
        environment.extend(part.clone());
    }
    environment.extend([
        ("MASQUE_FLEET".to_owned(), instance.fleet().to_owned()),
        ("MASQUE_HOST".to_owned(), service.id.host.clone()),
        ("MASQUE_SERVICE".to_owned(), service.id.name.clone()),
        (INSTANCE_VARIABLE.to_owned(), instance.cookie().to_owned()),
    ]);
    environment
}

/// The `PATH` that a service has.
pub(super) fn path_of(service: &Service, own: &BTreeMap<String, String>) -> String {
    service.program.environment.get("PATH").cloned().unwrap_or_else(|| own_path(own))
}

fn own_path(own: &BTreeMap<String, String>) -> String {
    own.get("PATH").cloned().unwrap_or_else(|| DEFAULT_PATH.to_owned())
}
