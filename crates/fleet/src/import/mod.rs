//! Reading exports again: the fleet that they were made from.
//!
//! Only what [`crate::export`] wrote is read here. Files that other people wrote are the manifest's business.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    Error,
    export::{FRAME, FRAME_ANNOTATION, FRAME_KEY, Files, Frame, SECTION, SERVICE, SERVICE_LABEL, SERVICES_ANNOTATION},
    model::{Fleet, Service},
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

/// The fleet of the Compose files that [`crate::export::compose`] wrote.
///
/// # Errors
/// When one of the files is no YAML, or none of them carries the fleet.
pub fn compose(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in &files.0 {
        if !path.to_string_lossy().ends_with(".yaml") {
            continue;
        }
        let document: Value =
            serde_saphyr::from_str(text).map_err(|error| Error::export(path.to_string_lossy(), error))?;
        let plain = |value: &Value| value.as_str().map(|text| text.replace("$$", "$"));
        parts.frame(path, document.get(FRAME_KEY).and_then(plain))?;
        let services = document.get("services").and_then(Value::as_object).into_iter().flatten();
        for (_, service) in services {
            parts.services(path, service.get("labels").and_then(|labels| labels.get(SERVICE_LABEL)).and_then(plain))?;
        }
    }
    parts.fleet("Compose files")
}

/// The fleet of the units that [`crate::export::quadlet`] wrote.
///
/// # Errors
/// When none of them carries the fleet, or a definition in them is broken.
pub fn quadlet(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in &files.0 {
        parts.frame(path, entry(text, FRAME))?;
        parts.services(path, entry(text, SERVICE))?;
    }
    parts.fleet("units of Quadlet")
}

/// An entry of Masque's own section of a unit.
fn entry(text: &str, key: &str) -> Option<String> {
    let section = format!("[{SECTION}]");
    let mut lines = text.lines().skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map(str::to_owned)
}

/// The fleet of the objects that [`crate::export::kube`] wrote.
///
/// # Errors
/// When a document is no YAML, or none of them carries the fleet.
pub fn kube(files: &Files) -> Result<Fleet, Error> {
    let mut parts = Parts::default();
    for (path, text) in &files.0 {
        if !path.to_string_lossy().ends_with(".yaml") {
            continue;
        }
        for document in text.split("\n---\n").skip(1) {
            let document: Value =
                serde_saphyr::from_str(document).map_err(|error| Error::export(path.to_string_lossy(), error))?;
            let annotation = |name: &str| {
                let annotations = document.get("metadata")?.get("annotations")?;
                annotations.get(name)?.as_str().map(str::to_owned)
            };
            parts.frame(path, annotation(FRAME_ANNOTATION))?;
            parts.services(path, annotation(SERVICES_ANNOTATION))?;
        }
    }
    parts.fleet("objects of Kubernetes")
}

/// What was found in files so far.
#[derive(Default)]
struct Parts {
    frame: Option<Frame>,
    services: Vec<Service>,
}

impl Parts {
    fn frame(&mut self, path: &std::path::Path, text: Option<String>) -> Result<(), Error> {
        if let Some(text) = text {
            let frame = serde_json::from_str(&text).map_err(|error| Error::export(path.to_string_lossy(), error))?;
            self.frame = Some(frame);
        }
        Ok(())
    }

    fn services(&mut self, path: &std::path::Path, text: Option<String>) -> Result<(), Error> {
        if let Some(text) = text {
            let services: Vec<Service> =
                serde_json::from_str(&text).map_err(|error| Error::export(path.to_string_lossy(), error))?;
            self.services.extend(services);
        }
        Ok(())
    }

    /// The services in the order of the fleet; new ones come last.
    fn fleet(self, what: &'static str) -> Result<Fleet, Error> {
        let frame = self.frame.ok_or(Error::NoExport { what })?;
        let places: HashMap<_, _> = frame.order.iter().enumerate().map(|(place, id)| (id, place)).collect();
        let mut services = self.services;
        services.sort_by_key(|service| places.get(&service.id).copied().unwrap_or(usize::MAX));
        Ok(Fleet { services, ..frame.fleet })
    }
}
