//! Versions of a large home: a first backup, one of nothing changed, and a rollback.

use std::{path::Path, time::Instant};

use masque_home::{
    home::Homes,
    name::Name,
    versions::{Note, Reason, Target},
};
use masque_types::time::Timestamp;

use crate::{
    figures::{Row, Section, Unit},
    statistics::{median_ms, real},
};

const FILES: u64 = 1_024;
const FILE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 5;

/// Measures a home of a gibibyte.
pub(crate) fn measure() -> anyhow::Result<Section> {
    let directory = tempfile::tempdir()?;
    let homes = Homes::open(directory.path(), None)?;
    let home = homes.create(&Name::of_persona("bench")?)?;
    fill(&home.workspace())?;
    let versions = home.versions();
    let note = |description| Note { at: at(1), description, reason: Reason::Asked, origin: None };
    let begun = Instant::now();
    let first = versions.backup(&note("first"))?;
    let whole = begun.elapsed();
    let kept = stored(directory.path())?;
    let mut unchanged = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        versions.backup(&note("nothing changed"))?;
        unchanged.push(begun.elapsed());
    }
    fs_err::write(home.workspace().join("file-7"), "changed")?;
    let begun = Instant::now();
    let prepared = versions.prepare(&Target::Version(first.number), "back", at(2))?;
    let preparing = begun.elapsed();
    let begun = Instant::now();
    prepared.commit()?;
    let exchange = begun.elapsed();
    Ok(Section {
        title: "Versions of a home",
        command: "make bench ARGS=home",
        about: format!(
            "A home of {FILES} files of {} KiB that do not compress, on this machine's disk. The backup of nothing changed \
             is the median of {ROUNDS}. A rollback first lays out and checks every byte of what will be, beside the home; \
             only its last step changes anything.",
            FILE_BYTES >> 10
        ),
        rows: vec![
            Row::new("first backup of 1 GiB", Unit::Milliseconds, median_ms(&[whole])),
            Row::new("backup of nothing changed", Unit::Milliseconds, median_ms(&unchanged)).at_most(1_000.0),
            Row::new("rollback: laying out and checking", Unit::Milliseconds, median_ms(&[preparing])),
            Row::new("rollback: the step that changes the home", Unit::Milliseconds, median_ms(&[exchange]))
                .at_most(50.0),
            Row::new("stored for the first backup", Unit::Bytes, kept)
                .beside("the files themselves", Ok(real(FILES * FILE_BYTES as u64))),
        ],
    })
}

const fn at(seconds: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1_000)
}

/// Files of different content that no compressor shortens.
fn fill(workspace: &Path) -> anyhow::Result<()> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut content = vec![0_u8; FILE_BYTES];
    for number in 0..FILES {
        for piece in content.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.copy_from_slice(&state.to_le_bytes());
        }
        fs_err::write(workspace.join(format!("file-{number}")), &content)?;
    }
    Ok(())
}

/// Bytes below the directory of versions.
fn stored(root: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    let mut open = vec![root.join("versions")];
    while let Some(directory) = open.pop() {
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    Ok(real(bytes))
}
