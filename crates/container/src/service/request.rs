//! The engine's form of a container that runs on: [`request`]. Pure, but for the limits of this process.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    Mount as ApiMount, MountType, NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};

use super::{Mount, MountSource, NetworkJoin, ServiceSpec};
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
    let mut mounts = spec.mounts.iter().map(mount).collect::<Result<Vec<_>, _>>()?;
    if let Some((masque, loading)) = &loading {
        let own = (masque.executable.clone(), Path::new(inside::MASQUE).to_owned());
        let shown = std::iter::once(own).chain(loading.places.iter().cloned());
        for (source, target) in shown {
            let target = check(&target)?.to_owned();
            mounts.push(mount(&Mount { source: MountSource::Path(source), target, read_only: true })?);
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
        exposed_ports: Some(ports(spec)?.into_keys().collect()),
        host_config: Some(host_config(engine, spec, mounts)?),
        networking_config: networking(spec),
        ..ContainerCreateBody::default()
    })
}

fn host_config(engine: &Engine, spec: &ServiceSpec, mounts: Vec<ApiMount>) -> Result<HostConfig, Error> {
    let memory = spec.memory_bytes.map(|bytes| whole("memory", bytes)).transpose()?;
    let policy = if spec.restart { RestartPolicyNameEnum::UNLESS_STOPPED } else { RestartPolicyNameEnum::NO };
    let (paths, names): (Vec<_>, Vec<_>) = spec.devices.iter().partition(|device| device.starts_with('/'));
    Ok(HostConfig {
        network_mode: Some(match &spec.network {
            NetworkJoin::Host => "host".to_owned(),
            NetworkJoin::None => "none".to_owned(),
            NetworkJoin::Named { name, .. } => name.clone(),
        }),
        port_bindings: Some(ports(spec)?),
        mounts: Some(mounts),
        devices: Some(paths.into_iter().map(|device| mapping(device)).collect()),
        device_requests: (!names.is_empty()).then(|| vec![interface(names)]),
        memory,
        nano_cpus: spec.milli_cpus.map(|milli| whole("processors", milli.saturating_mul(1_000_000))).transpose()?,
        pids_limit: spec.processes.map(|processes| whole("processes", processes)).transpose()?,
        ulimits: Some(limits(engine, spec.open_files, spec.processes)?),
        restart_policy: Some(RestartPolicy { name: Some(policy), maximum_retry_count: None }),
        ..HostConfig::default()
    })
}

fn mount(mount: &Mount) -> Result<ApiMount, Error> {
    let (typ, source) = match &mount.source {
        MountSource::Path(path) => (MountType::BIND, check(path)?.to_owned()),
        MountSource::Volume(name) => (MountType::VOLUME, name.clone()),
    };
    let target = check(Path::new(&mount.target))?.to_owned();
    let read_only = Some(mount.read_only);
    Ok(ApiMount { typ: Some(typ), source: Some(source), target: Some(target), read_only, ..ApiMount::default() })
}

/// Ports of the container by their number and protocol, each with the machine's ones.
fn ports(spec: &ServiceSpec) -> Result<PortMap, Error> {
    let mut map: PortMap = HashMap::new();
    for text in &spec.publish {
        let (inside, binding) = port(text).ok_or_else(|| Error::Value {
            what: "published port",
            problem: format!("`{text}` is not understood: expected [ADDRESS:]PORT:PORT[/PROTOCOL]"),
        })?;
        map.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    Ok(map)
}

fn port(text: &str) -> Option<(String, PortBinding)> {
    let (numbers, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (outside, inside) = numbers.rsplit_once(':').unwrap_or((numbers, numbers));
    let (address, outside) = outside.rsplit_once(':').map_or((None, outside), |(address, port)| (Some(address), port));
    let (inside, outside): (u16, u16) = (inside.parse().ok()?, outside.parse().ok()?);
    let host_ip = address.map(|address| address.trim_matches(['[', ']']).to_owned());
    Some((format!("{inside}/{protocol}"), PortBinding { host_ip, host_port: Some(outside.to_string()) }))
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
    use super::port;

    #[test]
    fn published_ports_are_understood() {
        let shown = |text| {
            port(text).map(|(inside, binding)| {
                format!("{inside} {} {}", binding.host_ip.unwrap_or_default(), binding.host_port.unwrap_or_default())
            })
        };
        assert_eq!(shown("8080:80").as_deref(), Some("80/tcp  8080"));
        assert_eq!(shown("127.0.0.1:53:54/udp").as_deref(), Some("54/udp 127.0.0.1 53"));
        assert_eq!(shown("[::1]:53:54").as_deref(), Some("54/tcp ::1 53"));
        assert_eq!(shown("80").as_deref(), Some("80/tcp  80"));
        for wrong in ["", "a:80", "80:", "70000:80", ":80"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
