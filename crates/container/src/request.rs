//! The engine's form of a container: [`request`]. Pure, but for the label of the owner.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, ImageConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, MountVolumeOptions, ResourcesUlimits,
};
use rustix::process::Resource;

use crate::{
    ContainerSpec, Engine, EngineKind, Error, Network, User, inside,
    owner::{LABEL, Owner},
    places::{Places, check},
};

/// The most processes of a user that Podman is told, unless the container needs more: its own default is more than a
/// service with less than all rights may set. What holds is the limit of the container.
const USER_PROCESSES: u64 = 16_384;

/// Open files of a process whose limit nobody says.
const OPEN_FILES: u64 = 1 << 20;

/// What the engine is asked to make.
pub(crate) fn request(
    engine: &Engine,
    spec: &ContainerSpec,
    image: (String, ImageConfig),
    places: &Places,
    words: Vec<String>,
) -> Result<ContainerCreateBody, Error> {
    let (digest, image) = image;
    let mut words = words.into_iter().chain(spec.init.iter().cloned());
    let user = user(engine, spec);
    Ok(ContainerCreateBody {
        image: Some(digest),
        entrypoint: Some(words.by_ref().take(1).collect()),
        cmd: Some(words.collect()),
        user: Some(format!("{}:{}", user.uid, user.gid)),
        working_dir: Some("/".to_owned()),
        hostname: (spec.network == Network::None).then(|| "masque".to_owned()),
        labels: Some(HashMap::from([(LABEL.to_owned(), Owner::this_process()?.to_string())])),
        // A check that the image declares would run in the container beside the policy.
        healthcheck: image
            .healthcheck
            .is_some()
            .then(|| HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(host_config(engine, spec, &image, places)?),
        ..ContainerCreateBody::default()
    })
}

/// The container's name, which is unique.
pub(crate) fn name(label: &str) -> String {
    let fit =
        |character: char| if character.is_ascii_alphanumeric() || "_.".contains(character) { character } else { '-' };
    let label: String = label.chars().map(fit).take(40).collect();
    format!("masque-{label}-{}", uuid::Uuid::now_v7().simple())
}

fn user(engine: &Engine, spec: &ContainerSpec) -> User {
    let caller = || User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    // The root of an engine without rights is the caller.
    let own = if engine.info().rootless { User { uid: 0, gid: 0 } } else { caller() };
    spec.user.unwrap_or(own)
}

fn host_config(
    engine: &Engine,
    spec: &ContainerSpec,
    image: &ImageConfig,
    places: &Places,
) -> Result<HostConfig, Error> {
    let memory = whole("memory", spec.memory_bytes)?;
    Ok(HostConfig {
        auto_remove: Some(true),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        // Labels of SELinux would have to be written into the workspace; the mounts say what is reached.
        security_opt: Some(vec!["no-new-privileges".to_owned(), "label=disable".to_owned()]),
        network_mode: Some(match spec.network {
            Network::None => "none".to_owned(),
            Network::Host => "host".to_owned(),
        }),
        ipc_mode: Some("private".to_owned()),
        memory: Some(memory),
        memory_swap: Some(memory),
        pids_limit: Some(i64::from(spec.pids)),
        nano_cpus: spec.milli_cpus.map(|thousandths| i64::from(thousandths) * 1_000_000),
        ulimits: Some(limits(engine, Some(spec.open_files), Some(spec.pids.into()))?),
        // Podman's API does not choose a runtime, see `Engine::start`.
        runtime: spec.runtime.clone().filter(|_| engine.info().kind == EngineKind::Docker),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        tmpfs: Some(temporary(spec, image, places)),
        mounts: Some(mounts(spec, places)?),
        ..HostConfig::default()
    })
}

pub(crate) fn limits(
    engine: &Engine,
    open_files: Option<u64>,
    processes: Option<u64>,
) -> Result<Vec<ResourcesUlimits>, Error> {
    let limit =
        |name: &str, value: i64| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) };
    let most = |resource| rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    // Podman's own default is more than a service with less than all rights may set.
    let files = open_files.unwrap_or(OPEN_FILES).min(most(Resource::Nofile));
    let mut limits = vec![limit("core", 0), limit("nofile", whole("open files", files)?)];
    if engine.info().kind == EngineKind::Podman {
        let processes = USER_PROCESSES.max(processes.unwrap_or_default()).min(most(Resource::Nproc));
        limits.push(limit("nproc", whole("processes", processes)?));
    }
    Ok(limits)
}

/// Empty file systems: for temporary files, for the engine's mount points, and for the volumes that the image declares,
/// which would otherwise be disks without a limit.
fn temporary(spec: &ContainerSpec, image: &ImageConfig, places: &Places) -> HashMap<String, String> {
    let volumes = image.volumes.iter().flatten();
    let usable = |path: &&String| {
        let path = Path::new(path.as_str());
        path.is_absolute() && check(path).is_ok() && !places.mounts.contains_key(path)
    };
    let large = format!("rw,exec,nosuid,nodev,mode=1777,size={}", spec.tmp_bytes);
    let mut all: HashMap<_, _> = volumes.filter(usable).map(|path| (path.clone(), large.clone())).collect();
    all.extend(["/tmp", "/var/tmp"].map(|path| (path.to_owned(), large.clone())));
    all.insert("/run".to_owned(), "rw,noexec,nosuid,nodev,mode=755,size=64k".to_owned());
    all
}

fn mounts(spec: &ContainerSpec, places: &Places) -> Result<Vec<Mount>, Error> {
    let bind = |(inside, place): (&std::path::PathBuf, &crate::places::Place)| {
        Ok(Mount {
            typ: Some(MountType::BIND),
            source: Some(check(&place.source)?.to_owned()),
            target: Some(check(inside)?.to_owned()),
            read_only: Some(place.read_only),
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                // What is mounted below a read-only place would stay writable.
                non_recursive: place.read_only.then_some(true),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        })
    };
    let cache = spec.cache.iter().map(|volume| {
        Ok(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume_name(volume)?.to_owned()),
            target: Some(inside::CACHE.to_owned()),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
            ..Mount::default()
        })
    });
    places.mounts.iter().map(bind).chain(cache).collect()
}

/// A volume, and not a path or a further option.
fn volume_name(name: &str) -> Result<&str, Error> {
    let fit = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    if name.chars().all(fit) && name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(name);
    }
    Err(Error::Value {
        what: "cache volume",
        problem: format!("`{name}` is no name of a volume: use letters, digits, `_`, `.` and `-`"),
    })
}

pub(crate) fn whole(what: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::Value { what, problem: format!("{value} is more than any engine takes") })
}

#[cfg(test)]
mod tests {
    use super::{name, volume_name};

    #[test]
    fn names_hold_what_engines_take() {
        let name = name("a/b:ä x");
        assert!(name.starts_with("masque-a-b---x-") && name.len() < 100, "{name}");
        assert!(volume_name("cargo-cache_1.0").is_ok());
        for wrong in ["", "/etc", "a,b", "..", "a/b", "-x"] {
            assert!(volume_name(wrong).is_err(), "{wrong}");
        }
    }
}
