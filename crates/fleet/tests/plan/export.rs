//! Exports of random fleets: valid for every name, and read again as the same fleet.

use std::collections::BTreeSet;

use masque_fleet::{
    Error,
    export::{self, Files},
    graph::Graph,
    import,
    model::Fleet,
};
use masque_testkit::fleets::{Shape, fleets, plain_fleet};
use proptest::prelude::*;
use serde_json::Value;

fn yaml(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").filter(|part| !part.starts_with('#') || !text.contains("\n---\n"));
    documents.map(|part| serde_saphyr::from_str(part).unwrap()).collect()
}

/// Reads an export again: the same fleet, with the same graph, whose export is the same.
fn round(
    fleet: &Fleet,
    write: fn(&Fleet) -> Files,
    read: fn(&Files) -> Result<Fleet, Error>,
) -> Result<(), TestCaseError> {
    let files = write(fleet);
    if fleet.services.is_empty() && files.0.keys().all(|path| !path.ends_with("kube.yaml")) {
        return Ok(());
    }
    let again = read(&files).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&again, fleet);
    prop_assert_eq!(Graph::of(&again).edges().to_vec(), Graph::of(fleet).edges().to_vec());
    prop_assert_eq!(write(&again), files);
    Ok(())
}

/// Names of the domain name system, as Kubernetes wants them.
fn is_label(name: &str) -> bool {
    let fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(fit)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
}

/// Containers of a Compose file start in some order, and everything that they name is there.
fn sound_compose(document: &Value) -> Result<(), TestCaseError> {
    let services = document["services"].as_object().unwrap();
    let needs = |service: &Value| -> Vec<String> {
        service
            .get("depends_on")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let mut started: BTreeSet<&str> = BTreeSet::new();
    while started.len() < services.len() {
        let next = services.iter().find(|(name, service)| {
            !started.contains(name.as_str()) && needs(service).iter().all(|need| started.contains(need.as_str()))
        });
        let Some((name, service)) = next else { return Err(TestCaseError::fail(format!("circle after {started:?}"))) };
        started.insert(name);
        for network in service.get("networks").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
            prop_assert!(document["networks"].get(network).is_some());
        }
        for mount in service.get("volumes").and_then(Value::as_array).into_iter().flatten() {
            if let Some(source) = mount.get("source").and_then(Value::as_str).filter(|_| mount["type"] == "volume") {
                prop_assert!(document["volumes"].get(source).is_some());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn compose_files_are_valid_and_read_again(fleet in fleets(Shape::Any, 8)) {
        round(&fleet, export::compose, import::compose)?;
        for (path, text) in &export::compose(&fleet).0 {
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let document = yaml(text).remove(0);
                prop_assert!(import::is_own_compose(&document));
                sound_compose(&document)?;
            }
        }
    }

    #[test]
    fn units_of_quadlet_are_valid_and_read_again(fleet in fleets(Shape::Any, 8)) {
        round(&fleet, export::quadlet, import::quadlet)?;
        for (path, text) in &export::quadlet(&fleet).0 {
            if path.extension().is_none_or(|extension| extension == "json") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            prop_assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'), "{}", name);
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let section = line.starts_with('[') && line.ends_with(']');
                let entry = line.split_once('=').is_some_and(|(key, _)| key.chars().all(|letter| letter.is_ascii_alphanumeric()));
                prop_assert!(section || entry, "{}", line);
                prop_assert!(!line.ends_with('\\'), "{}", line);
            }
        }
    }

    #[test]
    fn objects_of_kubernetes_are_valid_and_read_again(fleet in fleets(Shape::Any, 8)) {
        round(&fleet, export::kube, import::kube)?;
        let files = export::kube(&fleet);
        let mut names = BTreeSet::new();
        for document in yaml(&files.0[std::path::Path::new("kube.yaml")]) {
            let name = document["metadata"]["name"].as_str().unwrap();
            prop_assert!(is_label(name), "{}", name);
            prop_assert!(names.insert((document["kind"].to_string(), name.to_owned())));
            let pod = &document["spec"]["template"]["spec"];
            let declared: BTreeSet<_> = named(pod.get("volumes"));
            for container in pod.get("containers").and_then(Value::as_array).into_iter().flatten() {
                prop_assert!(is_label(container["name"].as_str().unwrap()));
                prop_assert!(named(container.get("volumeMounts")).is_subset(&declared));
            }
            for port in document["spec"].get("ports").and_then(Value::as_array).into_iter().flatten() {
                let name = port["name"].as_str().unwrap();
                prop_assert!(is_label(name) && name.len() <= 15, "{}", name);
            }
        }
    }

    #[test]
    fn containerfiles_hold_one_instruction_a_line(fleet in fleets(Shape::Any, 8)) {
        for (path, text) in &export::dockerfiles(&fleet).0 {
            if !path.to_str().unwrap().starts_with("Containerfile") {
                continue;
            }
            prop_assert!(text.lines().any(|line| line.starts_with("FROM ")));
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (instruction, rest) = line.split_once(' ').unwrap_or_default();
                let known = ["FROM", "COPY", "RUN", "ENV", "WORKDIR", "STOPSIGNAL", "EXPOSE", "HEALTHCHECK", "CMD"];
                prop_assert!(known.contains(&instruction), "{}", line);
                if let Some(list) = rest.find('[').filter(|_| instruction != "FROM") {
                    let words: Result<Vec<String>, _> = serde_json::from_str(&rest[list..]);
                    prop_assert!(words.is_ok(), "{}", line);
                }
            }
        }
    }

    #[test]
    fn paths_inside_are_stable(fleet in fleets(Shape::Sound, 6)) {
        let inside = export::inside(&fleet);
        prop_assert_eq!(Graph::of(&inside).edges().to_vec(), Graph::of(&fleet).edges().to_vec());
        let text = serde_json::to_string(&inside).unwrap();
        prop_assert_eq!(import::description(&text).unwrap(), inside);
    }
}

fn named(list: Option<&Value>) -> BTreeSet<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn what_was_not_exported_is_refused() {
    let mut files = Files::default();
    files.0.insert("compose.yaml".into(), "services: {}\n".to_owned());
    let text = import::compose(&files).unwrap_err().to_string();
    assert!(text.contains("were not made by `masque fleet render`"), "{text}");
    files.0.insert("compose.yaml".into(), "x-masque: 'broken'\n".to_owned());
    let text = import::compose(&files).unwrap_err().to_string();
    assert!(text.starts_with("compose.yaml cannot be read"), "{text}");
}

#[test]
fn exports_are_written_and_read_from_directories() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = plain_fleet("a: b; p/b");
    let files = export::quadlet(&fleet);
    files.write(directory.path()).unwrap();
    assert_eq!(Files::read(directory.path()).unwrap(), files);
    assert_eq!(import::quadlet(&Files::read(directory.path()).unwrap()).unwrap(), fleet);
}
