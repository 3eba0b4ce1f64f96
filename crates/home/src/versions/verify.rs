//! Checking every byte of all versions.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Versions,
    chunks::Chunks,
    manifest::{self, Kind, Manifest},
    pack::{self, Pack},
};
use crate::Error;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Versions that are whole.
    pub versions: usize,
    /// Bytes of packs that were read.
    pub bytes: u64,
    /// What is wrong, one line each.
    pub faults: Vec<String>,
}

impl Versions {
    /// Reads every byte of all versions: signatures, the row of manifests, every piece and every file.
    ///
    /// # Errors
    /// When a directory cannot be read. Damage is no error but a fault in the report.
    pub fn verify(&self) -> Result<Report, Error> {
        let _lock = self.lock()?;
        self.settle()?;
        let mut report = Report::default();
        for id in pack::ids(&self.packs())? {
            match Pack::open(&self.packs(), &id, &self.sealer()).and_then(|pack| pack.check()) {
                Ok(bytes) => report.bytes += bytes,
                Err(error) => report.faults.push(error.to_string()),
            }
        }
        let chunks = if report.faults.is_empty() { Some(Chunks::open(self)?) } else { None };
        let mut seen = BTreeSet::new();
        let mut parent: Option<Manifest> = None;
        for number in self.numbers()? {
            let checked = self.manifest(number).and_then(|manifest| {
                follows(&manifest, parent.as_ref())?;
                if let Some(chunks) = &chunks {
                    check_files(&manifest, chunks, &mut seen)?;
                }
                Ok(manifest)
            });
            match checked {
                Ok(manifest) => {
                    report.versions += 1;
                    parent = Some(manifest);
                }
                Err(error) => {
                    report.faults.push(format!("version {number}: {error}"));
                    parent = None;
                }
            }
        }
        Ok(report)
    }
}

/// Whether a version names the one before it, as far as that was not pruned.
fn follows(manifest: &Manifest, before: Option<&Manifest>) -> Result<(), Error> {
    let Some(before) = before.filter(|before| before.number + 1 == manifest.number) else { return Ok(()) };
    if manifest.parent == Some((before.number, manifest::digest(before)?)) {
        return Ok(());
    }
    Err(Error::damaged("its manifest", format!("it does not follow version {}", before.number)))
}

fn check_files(
    manifest: &Manifest,
    chunks: &Chunks<'_>,
    seen: &mut BTreeSet<masque_types::digest::Digest>,
) -> Result<(), Error> {
    for entry in &manifest.entries {
        let Kind::File { digest, chunks: content, .. } = &entry.kind else { continue };
        if let Some(missing) = content.iter().find(|piece| !chunks.has(piece)) {
            return Err(Error::damaged(
                format!("`{}`", entry.path),
                format!("the piece {} is missing", missing.short()),
            ));
        }
        // Pieces were checked with their packs: a file of one piece is that piece.
        if content.as_slice() != [*digest] && seen.insert(*digest) {
            chunks.copy(content, digest, &mut std::io::sink())?;
        }
    }
    Ok(())
}
