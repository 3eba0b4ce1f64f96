//! Reading exports again: the fleet that they were made from.
//!
//! Only what [`crate::export`] wrote is read here. Files that other people wrote are the manifest's business.

use std::{collections::HashMap, path::Path};

use serde_json::Value;

use crate::{
    Error,
    export::{FRAME, FRAME_ANNOTATION, FRAME_KEY, Files, Frame, SECTION, SERVICE, SERVICE_LABEL, SERVICES_ANNOTATION},
    model::{Fleet, Service, ServiceId},
};

/// The fleet of a [`crate::export::inside`] description: the JSON of a fleet.
///
/// # Errors
/// When the text is something else.
pub fn description(text: &str) -> Result<Fleet, Error> {
    serde_json::from_str(text).map_err(|error| Error::export("fleet.json", error))
}

/// Whether a Compose file was written by [`crate::export::compose`].
#[must_use]
pub fn is_own_compose(document: &Value) -> bool {
    document.get(FRAME_KEY).is_some_and(Value::is_string)
}

/// Whether a file was written by [`crate::export::kube`].
#[must_use]
pub fn is_own_kube(text: &str) -> bool {
    text.contains(FRAME_ANNOTATION)
}

/// The fleet of the files of one export, whatever it is for. Other files among them are passed over.
///
/// # Errors
/// When nothing in them carries a fleet, when a service of it is in none of them, or when one of them is broken.
pub fn any(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in &files.0 {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("yaml" | "yml") if is_own_kube(text) => parts.objects(path, text)?,
            Some("yaml" | "yml") if text.contains(FRAME_KEY) => parts.compose_file(path, text)?,
            Some("container" | "volume") => parts.unit(path, text)?,
            _ => {}
        }
    }
    parts.fleet("files")
}

/// The fleet of the Compose files that [`crate::export::compose`] wrote.
///
/// # Errors
/// As for [`any`].
pub fn compose(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in files.0.iter().filter(|(path, _)| is_yaml(path)) {
        parts.compose_file(path, text)?;
    }
    parts.fleet("Compose files")
}

/// The fleet of the units that [`crate::export::quadlet`] wrote.
///
/// # Errors
/// As for [`any`].
pub fn quadlet(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in &files.0 {
        parts.unit(path, text)?;
    }
    parts.fleet("units of Quadlet")
}

/// The fleet of the objects that [`crate::export::kube`] wrote.
///
/// # Errors
/// As for [`any`].
pub fn kube(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in files.0.iter().filter(|(path, _)| is_yaml(path)) {
        parts.objects(path, text)?;
    }
    parts.fleet("objects of Kubernetes")
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// An entry of Masque's own section of a unit.
fn entry(text: &str, key: &str) -> Option<String> {
    let section = format!("[{SECTION}]");
    let mut lines = text.lines().skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map(str::to_owned)
}

fn yaml(path: &Path, text: &str) -> Result<Value, Error> {
    serde_saphyr::from_str(text).map_err(|error| Error::export(path.to_string_lossy(), error))
}

/// What was found in files so far.
#[derive(Default)]
struct Parts {
    frame: Option<Frame>,
    services: Vec<Service>,
}

impl Parts {
    fn compose_file(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let document = yaml(path, text)?;
        let plain = |value: &Value| value.as_str().map(|text| text.replace("$$", "$"));
        self.frame(path, document.get(FRAME_KEY).and_then(plain))?;
        let services = document.get("services").and_then(Value::as_object).into_iter().flatten();
        for (_, service) in services {
            self.services(path, service.get("labels").and_then(|labels| labels.get(SERVICE_LABEL)).and_then(plain))?;
        }
        Ok(())
    }

    fn unit(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        self.frame(path, entry(text, FRAME))?;
        self.services(path, entry(text, SERVICE))
    }

    fn objects(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        for document in text.split("\n---\n").skip(1) {
            let document = yaml(path, document)?;
            let annotation = |name: &str| {
                let annotations = document.get("metadata")?.get("annotations")?;
                annotations.get(name)?.as_str().map(str::to_owned)
            };
            self.frame(path, annotation(FRAME_ANNOTATION))?;
            self.services(path, annotation(SERVICES_ANNOTATION))?;
        }
        Ok(())
    }

    fn frame(&mut self, path: &Path, text: Option<String>) -> Result<(), Error> {
        if let Some(text) = text {
            let frame = serde_json::from_str(&text).map_err(|error| Error::export(path.to_string_lossy(), error))?;
            self.frame = Some(frame);
        }
        Ok(())
    }

    /// Services of a file. What two exports in one directory both say is one service.
    fn services(&mut self, path: &Path, text: Option<String>) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        let services: Vec<Service> =
            serde_json::from_str(&text).map_err(|error| Error::export(path.to_string_lossy(), error))?;
        for service in services {
            match self.services.iter().find(|known| known.id == service.id) {
                None => self.services.push(service),
                Some(known) if *known == service => {}
                Some(_) => {
                    let problem = format!("another file says something else of `{}`", service.id);
                    return Err(Error::export(path.to_string_lossy(), problem));
                }
            }
        }
        Ok(())
    }

    /// The services in the order of the fleet; new ones come last.
    fn fleet(self, what: &'static str) -> Result<Fleet, Error> {
        let frame = self.frame.ok_or(Error::NoExport { what })?;
        let places: HashMap<_, _> = frame.order.iter().enumerate().map(|(place, id)| (id, place)).collect();
        let mut services = self.services;
        let is_missing = |id: &&ServiceId| services.iter().all(|service| service.id != **id);
        let missing: Vec<String> = frame.order.iter().filter(is_missing).map(|id| format!("`{id}`")).collect();
        if !missing.is_empty() {
            return Err(Error::Incomplete { what, missing: missing.join(", ") });
        }
        services.sort_by_key(|service| places.get(&service.id).copied().unwrap_or(usize::MAX));
        Ok(Fleet { services, ..frame.fleet })
    }
}
