//! Scripts, programs, working directories, users: what a service needs of this machine's files.

use super::{Entry, Report, Rule, Scene, World};
use crate::{
    graph::Resolution,
    model::{Command, Fleet, Service, ServiceId},
};

/// Services of this machine that cannot be started, with the reason.
pub(super) fn missing<'a>(fleet: &'a Fleet, world: &World) -> Vec<(&'a ServiceId, String)> {
    let lost = |service: &'a Service| {
        let program = if world.is_here(service) { program_fault(fleet, world, service) } else { None };
        script_fault(service).or(program).map(|why| (&service.id, why))
    };
    fleet.services.iter().filter_map(lost).collect()
}

fn script_fault(service: &Service) -> Option<String> {
    match (&service.program.script, &service.program.script_file) {
        (Some(script), None) => Some(format!("its script `{script}` was not found")),
        _ => None,
    }
}

/// Whether a service runs in an image that brings its own files.
fn brings_its_files(fleet: &Fleet, service: &Service) -> bool {
    if service.program.image.is_some() {
        return true;
    }
    let group = service.group.as_ref().and_then(|group| fleet.groups.get(group));
    group.and_then(|group| group.container.as_ref()).is_some_and(|container| container.copy.is_empty())
}

fn program_fault(fleet: &Fleet, world: &World, service: &Service) -> Option<String> {
    if brings_its_files(fleet, service) {
        return None;
    }
    if let Some(script) = &service.program.script_file
        && world.entry(script) == Some(Entry::Absent)
    {
        return Some(format!("its script `{}` is not there", script.display()));
    }
    let Command::Exec(words) = &service.program.command else { return None };
    let Some(word) = words.first().filter(|word| !word.is_empty()) else {
        return Some("its command is empty".to_owned());
    };
    if !word.contains('/') {
        let found = world.program(service, word)?;
        return found.is_none().then(|| format!("its program `{word}` is not in PATH"));
    }
    let file = service.program.directory.join(word);
    match world.entry(&file)? {
        Entry::Absent => Some(format!("its program `{}` is not there", file.display())),
        Entry::Directory => Some(format!("its program `{}` is a directory", file.display())),
        Entry::File { executable: false, .. } => Some(format!("its program `{}` is not executable", file.display())),
        Entry::File { interpreter: Some(interpreter), .. } => {
            let lost = world.entry(std::path::Path::new(&interpreter)) == Some(Entry::Absent);
            lost.then(|| format!("its program `{}` asks for `{interpreter}`, which is not there", file.display()))
        }
        Entry::File { .. } | Entry::Other => None,
    }
}

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    for (id, why) in &scene.missing {
        let Some(service) = scene.roster.service(id) else { continue };
        let hint = "put it there, correct its path, or declare a fallback";
        match scene.roster.stand_in_for(id) {
            Resolution::Nobody if service.required => report.error(Rule::MissingProgram, Some(id), why, hint),
            _ => report.warning(Rule::MissingProgram, Some(id), why, hint),
        }
    }
    for service in scene.services_here() {
        directory(scene, service, report);
        account(scene, service, report);
    }
    only_deployed(scene, report);
}

/// Services that a supervisor does not start; told once.
fn only_deployed(scene: &Scene<'_>, report: &mut Report) {
    let mut deployed = scene.services_here().filter(|service| service.program.image.is_some());
    let Some(first) = deployed.next() else { return };
    let who = match deployed.count() {
        0 => format!("`{}` runs in an image of its own", first.id),
        others => format!("`{}` and {others} more run in images of their own", first.id),
    };
    let message = format!("{who}, which `masque fleet up` does not start");
    report.warning(Rule::OnlyDeployed, None, message, "start it with `masque fleet deploy`");
}

fn directory(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    let directory = &service.program.directory;
    if brings_its_files(scene.fleet, service) {
        return;
    }
    let problem = match scene.world.entry(directory) {
        Some(Entry::Absent) => "is not there",
        Some(Entry::File { .. } | Entry::Other) => "is not a directory",
        Some(Entry::Directory) | None => return,
    };
    let message = format!("its working directory `{}` {problem}", directory.display());
    report.error(Rule::MissingDirectory, Some(&service.id), message, "make it, or correct `directory`");
}

fn account(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    let Some(account) = service.program.account.as_ref().filter(|_| !brings_its_files(scene.fleet, service)) else {
        return;
    };
    let named = |name: &str, known: &Option<std::collections::BTreeSet<String>>| {
        name.parse::<u32>().is_ok() || known.as_ref().is_none_or(|known| known.contains(name))
    };
    if !named(&account.user, &scene.world.users) {
        let message = format!("this machine has no user `{}`", account.user);
        report.error(Rule::MissingAccount, Some(&service.id), message, "add the user, or correct `user`");
    }
    if let Some(group) = account.group.as_ref().filter(|group| !named(group, &scene.world.groups)) {
        let message = format!("this machine has no group of users `{group}`");
        report.error(Rule::MissingAccount, Some(&service.id), message, "add the group, or correct `user`");
    }
}
