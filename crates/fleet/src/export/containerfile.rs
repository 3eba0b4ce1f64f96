//! The files that images are built by: [`dockerfiles`].

use std::{fmt::Write as _, path::Path};

use super::{
    Files, Unit,
    frame::json,
    health::seconds,
    inside::{HOME, MANIFEST, ROOT, description, description_name},
    names::{one_line, slug},
    units::{Origin, units},
};
use crate::{
    graph::Graph,
    model::{Fleet, Service},
};

/// The image that groups start from unless they name another one.
const PYTHON: &str = "docker.io/library/python:3.13-slim";
/// The same where nothing runs Python.
const DEBIAN: &str = "docker.io/library/debian:stable-slim";

/// `Containerfile.base`, a `Containerfile.GROUP` for each group, and the descriptions of the fleet that they
/// copy. They are built
/// with the fleet's directory as context, in which this export has to be `.masque`, with the `masque` executable in it.
#[must_use]
pub fn dockerfiles(fleet: &Fleet) -> Files {
    let units: Vec<_> = units(fleet).into_iter().filter(|unit| unit.origin() == Origin::Made).collect();
    let graph = Graph::of(fleet);
    let mut files = Files::default();
    files.add("Containerfile.base", base(fleet));
    for unit in &units {
        files.add(format!("Containerfile.{}", unit.name), group(fleet, unit, &graph));
        files.add(description_name(unit), description(fleet, unit));
    }
    files.add("build.sh", script(fleet, &units));
    files
}

/// Name of the base image.
#[must_use]
pub fn base_image(fleet: &Fleet) -> String {
    format!("localhost/{}/base:latest", slug(&fleet.name))
}

/// Whether a service executes Python, also from a line of a shell.
fn runs_python(service: &Service) -> bool {
    let is_python = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name.starts_with("python") || name.starts_with("pypy")
    };
    let words = service.program.command.words();
    let (first, rest) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let in_line = |line: &String| line.split(|letter: char| " \t\n;&|()`'\"".contains(letter)).any(is_python);
    is_python(first) || (first.ends_with("sh") && rest.iter().any(in_line))
}

fn base(fleet: &Fleet) -> String {
    let image = if fleet.services.iter().any(runs_python) { PYTHON } else { DEBIAN };
    format!(
        "# Made by `masque fleet render --to dockerfiles`: what all groups of the fleet start from.\n\
         FROM {image}\n\
         COPY [\".masque/masque\", \"/usr/local/bin/masque\"]\n\
         RUN [\"mkdir\", \"-p\", \"{ROOT}\", \"{HOME}\"]\n\
         ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MASQUE_HOME={HOME}\n\
         WORKDIR {ROOT}\n\
         STOPSIGNAL SIGTERM\n"
    )
}

fn group(fleet: &Fleet, unit: &Unit<'_>, graph: &Graph) -> String {
    let container = &unit.container;
    let own_base = base_image(fleet);
    let from = container.base.as_deref().unwrap_or(&own_base);
    let what = unit.group.map_or_else(|| format!("service {}", unit.name), |group| format!("group {group}"));
    let mut text =
        format!("# Made by `masque fleet render --to dockerfiles`: {}.\nFROM {}\n", one_line(&what), one_line(from));
    if container.base.is_some() {
        let _ = writeln!(text, "COPY {}", list([".masque/masque", "/usr/local/bin/masque"], Marks::Copy));
        let _ = writeln!(text, "ENV MASQUE_HOME={HOME}\nWORKDIR {ROOT}");
    }
    if !container.packages.is_empty() {
        let install = ["apt-get", "install", "-y", "--no-install-recommends"].map(str::to_owned);
        let words = install.into_iter().chain(container.packages.iter().cloned());
        let line: Vec<_> = words.map(|word| super::health::word(&word)).collect();
        let _ = writeln!(
            text,
            "RUN {}",
            list(
                ["/bin/sh", "-c", &format!("apt-get update && {} && rm -rf /var/lib/apt/lists/*", line.join(" "))],
                Marks::Run
            )
        );
    }
    if let Some(requirements) = &container.requirements {
        let _ = writeln!(text, "COPY {}", list([shown(requirements).as_str(), "/tmp/requirements.txt"], Marks::Copy));
        let install = ["pip", "install", "--no-cache-dir", "-r", "/tmp/requirements.txt"];
        let _ = writeln!(text, "RUN {}", list(install, Marks::Run));
    }
    // Without a word about it everything that the group may need is in the fleet's directory.
    if container.copy.is_empty() {
        let _ = writeln!(text, "COPY {}", list([".", ROOT], Marks::Copy));
    }
    for (from, to) in &container.copy {
        let _ = writeln!(text, "COPY {}", list([shown(from), shown(to)], Marks::Copy));
    }
    for (link, target) in &container.links {
        let parent = link.parent().unwrap_or(Path::new("/"));
        let _ = writeln!(text, "RUN {}", list(["mkdir", "-p", shown(parent).as_str()], Marks::Run));
        let _ =
            writeln!(text, "RUN {}", list(["ln", "-sfn", shown(target).as_str(), shown(link).as_str()], Marks::Run));
    }
    let own = format!(".masque/{}", description_name(unit));
    let _ = writeln!(text, "COPY {}", list([own.as_str(), MANIFEST], Marks::Copy));
    for port in ports(unit) {
        let _ = writeln!(text, "EXPOSE {port}");
    }
    if let Some(health) = super::health::of(unit, fleet, graph) {
        let _ = writeln!(
            text,
            "HEALTHCHECK --interval=10s --timeout=5s --start-period={}s --retries=3 CMD {}",
            seconds(health.start),
            list(&health.words, Marks::Run)
        );
    }
    if let Some(command) = unit.command() {
        let _ = writeln!(text, "CMD {}", list(command, Marks::Run));
    }
    text
}

fn ports(unit: &Unit<'_>) -> Vec<u16> {
    let all = unit.services.iter().flat_map(|service| service.port.iter().chain(service.ports.values()).copied());
    let mut ports: Vec<u16> = all.filter(|port| *port > 0).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Whether an instruction puts variables into its words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    Copy,
    Run,
}

/// The words of an instruction as a list of JSON, so that spaces and quotes in them mean nothing.
fn list(words: impl IntoIterator<Item = impl AsRef<str>>, marks: Marks) -> String {
    let escaped = |word: &str| match marks {
        Marks::Copy => word.replace('\\', "\\\\").replace('$', "\\$"),
        Marks::Run => word.to_owned(),
    };
    json(&words.into_iter().map(|word| escaped(word.as_ref())).collect::<Vec<_>>())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Builds all of them with Podman.
fn script(fleet: &Fleet, units: &[Unit<'_>]) -> String {
    let mut text = "#!/bin/sh\n# Builds the images of the fleet; run it in the fleet's directory, in which this directory is `.masque`.\n\
                    set -eu\ntest -x .masque/masque || { echo 'copy the masque executable to .masque/masque first' >&2; exit 1; }\n"
        .to_owned();
    let mut build = |image: &str, file: &str| {
        let _ = writeln!(text, "podman build -t {} -f .masque/Containerfile.{file} .", super::health::word(image));
    };
    build(&base_image(fleet), "base");
    for unit in units {
        build(&unit.image, &unit.name);
    }
    text
}
