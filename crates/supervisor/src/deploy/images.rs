//! The images of a deployment: which are there, which are built, and from what.

use std::{collections::BTreeMap, path::PathBuf};

use masque_container::{BuildSpec, Engine};
use masque_fleet::export::{Origin, Unit, base_image, dockerfiles, has_image};

use super::{Build, DeploySpec, Progress};
use crate::Error;

/// Where the files of an export stand in what the engine builds from.
const EXPORT: &str = ".masque";
/// What no image needs.
const IGNORED: [&str; 3] = [".git", ".masque", "__pycache__"];

/// Builds the images of these units that have to be built.
pub(super) async fn build(
    engine: &Engine,
    spec: &DeploySpec,
    units: &[Unit<'_>],
    tell: &impl Fn(Progress),
) -> Result<(), Error> {
    let there = engine.images().await?;
    let is_there = |image: &str| has_image(&there, image);
    let mut made: Vec<&str> = Vec::new();
    let base = base_image(&spec.fleet);
    for unit in units {
        let wanted = spec.build == Build::Always || (spec.build == Build::Missing && !is_there(&unit.image));
        if !wanted || unit.origin() == Origin::Elsewhere || made.contains(&unit.image.as_str()) {
            continue;
        }
        let starts_from_base = unit.container.base.is_none() && unit.origin() == Origin::Made;
        if starts_from_base && !made.contains(&base.as_str()) && (spec.build == Build::Always || !is_there(&base)) {
            build_one(engine, from_export(spec, base.clone(), "base"), tell).await?;
            made.push(&base);
        }
        build_one(engine, instructions(spec, unit), tell).await?;
        made.push(&unit.image);
    }
    Ok(())
}

async fn build_one(engine: &Engine, build: BuildSpec, tell: &impl Fn(Progress)) -> Result<(), Error> {
    let image = build.image.clone();
    let line = |line: &str| tell(Progress::Building { image: image.clone(), line: line.to_owned() });
    Ok(engine.build(&build, line).await?)
}

fn instructions(spec: &DeploySpec, unit: &Unit<'_>) -> BuildSpec {
    let Some(build) = &unit.container.build else { return from_export(spec, unit.image.clone(), &unit.name) };
    let names = ["Containerfile", "Dockerfile"].map(PathBuf::from);
    let usual = names.into_iter().find(|name| build.context.join(name).exists());
    BuildSpec {
        image: unit.image.clone(),
        context: build.context.clone(),
        file: build.file.clone().or(usual).unwrap_or_else(|| PathBuf::from("Dockerfile")),
        ignored: vec![".git".to_owned()],
        texts: BTreeMap::new(),
        files: BTreeMap::new(),
    }
}

/// A build by the files that the export writes; they are sent and not written anywhere.
fn from_export(spec: &DeploySpec, image: String, name: &str) -> BuildSpec {
    let texts = dockerfiles(&spec.fleet).0;
    BuildSpec {
        image,
        context: spec.fleet.directory.clone(),
        file: PathBuf::from(EXPORT).join(format!("Containerfile.{name}")),
        ignored: IGNORED.map(str::to_owned).to_vec(),
        texts: texts.into_iter().map(|(path, text)| (PathBuf::from(EXPORT).join(path), text)).collect(),
        files: BTreeMap::from([(PathBuf::from(EXPORT).join("masque"), spec.executable.clone())]),
    }
}
