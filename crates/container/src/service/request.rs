//! The engine's form of a container that runs on: [`request`]. Pure, but for the limits of this process.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    Mount as ApiMount, MountType, NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};

use super::{Mount, MountSource, NetworkJoin, Restart, ServiceSpec};
use crate::{
    Engine, Error, inside,
    libraries::Loading,
    places::check,
    request::{limits, whole},
};

/// What the engine is asked to make of a spec and the digest of its image.
pub(super) fn request(engine: &Engine, spec: &ServiceSpec, image: String) -> Result<ContainerCreateBody, Error> {
    let loading = match &spec.masque {
        Some(masque) => Some((masque, Loading::of(&masque.executable, &masque.libraries)?)),
        None => None,
    };
    let (entrypoint, command) = match &loading {
        Some((masque, loading)) => {
            let mut words = loading.words.iter().chain(&masque.arguments).cloned();
            (Some(words.by_ref().take(1).collect()), Some(words.collect()))
        }
        None => (spec.entrypoint.clone(), spec.command.clone()),
    };
    let plain = spec.mounts.iter().filter(|mount| mount.options.is_empty());
    let mut mounts = plain.map(mount).collect::<Result<Vec<_>, _>>()?;
    if let Some((masque, loading)) = &loading {
        let own = (masque.executable.clone(), Path::new(inside::MASQUE).to_owned());
        let shown = std::iter::once(own).chain(loading.places.iter().cloned());
        for (source, target) in shown {
            let target = check(&target)?.to_owned();
            let source = MountSource::Path(source);
            mounts.push(mount(&Mount { source, target, read_only: true, options: Vec::new() })?);
        }
    }
    let variables = spec.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let none = HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    Ok(ContainerCreateBody {
        image: Some(image),
        entrypoint,
        cmd: command,
        env: Some(variables.collect()),
        user: spec.user.clone(),
        working_dir: spec.directory.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: i64::try_from(spec.stop_grace.as_secs()).ok(),
        // Health is seen from outside; an engine without systemd would never look.
        healthcheck: Some(none),
        exposed_ports: Some(ports(spec).into_keys().collect()),
        host_config: Some(host_config(engine, spec, mounts)?),
        networking_config: networking(spec),
        ..ContainerCreateBody::default()
    })
}

fn host_config(engine: &Engine, spec: &ServiceSpec, mounts: Vec<ApiMount>) -> Result<HostConfig, Error> {
    let memory = spec.memory_bytes.map(|bytes| whole("memory", bytes)).transpose()?;
    let binds = spec.mounts.iter().filter_map(|mount| bind(mount).transpose()).collect::<Result<Vec<_>, _>>()?;
    let (paths, names): (Vec<_>, Vec<_>) = spec.devices.iter().partition(|device| device.starts_with('/'));
    Ok(HostConfig {
        network_mode: Some(match &spec.network {
            NetworkJoin::Host => "host".to_owned(),
            NetworkJoin::Named { name, .. } => name.clone(),
        }),
        port_bindings: Some(ports(spec)),
        mounts: Some(mounts),
        binds: Some(binds),
        devices: Some(paths.into_iter().map(|device| mapping(device)).collect()),
        device_requests: (!names.is_empty()).then(|| vec![interface(names)]),
        memory,
        nano_cpus: spec.milli_cpus.map(|milli| whole("processors", milli.saturating_mul(1_000_000))).transpose()?,
        pids_limit: spec.processes.map(|processes| whole("processes", processes)).transpose()?,
        ulimits: Some(limits(engine, spec.open_files, spec.processes)?),
        restart_policy: Some(policy(spec.restart)),
        ..HostConfig::default()
    })
}

fn policy(restart: Restart) -> RestartPolicy {
    let (name, most) = match restart {
        Restart::Never => (RestartPolicyNameEnum::NO, None),
        Restart::OnFailure { most } => (RestartPolicyNameEnum::ON_FAILURE, most),
        Restart::Always => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: most.map(i64::from) }
}

/// A mount with options, which only the short form can say; none without.
fn bind(mount: &Mount) -> Result<Option<String>, Error> {
    if mount.options.is_empty() {
        return Ok(None);
    }
    let source = match &mount.source {
        MountSource::Path(path) => check(path)?,
        MountSource::Volume(name) | MountSource::External(name) => name,
    };
    let mut options = mount.options.join(",");
    if mount.read_only {
        options.push_str(",ro");
    }
    Ok(Some(format!("{source}:{}:{options}", check(Path::new(&mount.target))?)))
}

fn mount(mount: &Mount) -> Result<ApiMount, Error> {
    let (typ, source) = match &mount.source {
        MountSource::Path(path) => (MountType::BIND, check(path)?.to_owned()),
        MountSource::Volume(name) | MountSource::External(name) => (MountType::VOLUME, name.clone()),
    };
    let target = check(Path::new(&mount.target))?.to_owned();
    let read_only = Some(mount.read_only);
    Ok(ApiMount { typ: Some(typ), source: Some(source), target: Some(target), read_only, ..ApiMount::default() })
}

/// Ports of the container by their number and protocol, each with the machine's ones.
fn ports(spec: &ServiceSpec) -> PortMap {
    let mut map: PortMap = HashMap::new();
    for port in &spec.publish {
        let machine = port.machine.map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        // Without a number the engine takes a free one.
        let binding = PortBinding { host_ip: port.address.clone(), host_port: Some(machine.unwrap_or_default()) };
        let inside = format!("{}/{}", port.container, port.protocol);
        map.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    map
}

fn mapping(device: &str) -> DeviceMapping {
    let mut parts = device.split(':');
    let path = parts.next().unwrap_or_default().to_owned();
    DeviceMapping {
        path_in_container: Some(parts.next().unwrap_or(&path).to_owned()),
        path_on_host: Some(path),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
    }
}

fn interface(names: Vec<&String>) -> DeviceRequest {
    let device_ids = Some(names.into_iter().cloned().collect());
    DeviceRequest { driver: Some("cdi".to_owned()), device_ids, ..DeviceRequest::default() }
}

fn networking(spec: &ServiceSpec) -> Option<NetworkingConfig> {
    let NetworkJoin::Named { name, address, aliases, .. } = &spec.network else { return None };
    let ipam = address.clone().map(|address| EndpointIpamConfig { ipv4_address: Some(address), ..Default::default() });
    let settings =
        EndpointSettings { aliases: Some(aliases.clone()), ipam_config: ipam, ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), settings)])) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_only_after_failures() {
        let asked = |restart| {
            let policy = policy(restart);
            (policy.name.map(|name| name.to_string()).unwrap_or_default(), policy.maximum_retry_count)
        };
        assert_eq!(asked(Restart::Never), ("no".to_owned(), None));
        assert_eq!(asked(Restart::OnFailure { most: Some(5) }), ("on-failure".to_owned(), Some(5)));
        assert_eq!(asked(Restart::OnFailure { most: None }), ("on-failure".to_owned(), None));
        assert_eq!(asked(Restart::Always), ("unless-stopped".to_owned(), None));
    }

    #[test]
    fn options_of_mounts_are_kept() {
        let mount = |options: &[&str], read_only| Mount {
            source: MountSource::Volume("data".to_owned()),
            target: "/data".to_owned(),
            read_only,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        assert_eq!(bind(&mount(&["Z", "U"], true)).ok().flatten().as_deref(), Some("data:/data:Z,U,ro"));
        assert_eq!(bind(&mount(&["z"], false)).ok().flatten().as_deref(), Some("data:/data:z"));
        assert_eq!(bind(&mount(&[], true)).ok().flatten(), None);
    }
}
