//! Files that were closed: `NAME.log.7`, packed in the background to `NAME.log.7.zst`, the oldest removed. Numbers rise
//! and are not used again, so that no file changes its name while it is read.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How hard is packed: text of logs gains little above.
const LEVEL: i32 = 3;
/// Suffix of packed files.
const PACKED: &str = ".zst";
/// Suffix of files that are being packed.
const UNFINISHED: &str = ".zst.unfinished";

/// The closed files of one service.
#[derive(Debug)]
pub(super) struct Closed {
    directory: PathBuf,
    /// Name of the open file: `NAME.log`.
    open: String,
    /// Held by the one who packs.
    packing: Mutex<()>,
}

impl Closed {
    pub(super) fn new(directory: &Path, service: &str) -> Self {
        let open = format!("{}.log", file_name(service));
        Self { directory: directory.to_path_buf(), open, packing: Mutex::new(()) }
    }

    /// The file that is written to.
    pub(super) fn open_file(&self) -> PathBuf {
        self.directory.join(&self.open)
    }

    /// The closed files by number.
    pub(super) fn list(&self) -> io::Result<BTreeMap<u64, PathBuf>> {
        let mut found = BTreeMap::new();
        for entry in fs_err::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.open)?.strip_prefix('.'));
            let number =
                number.map(|rest| rest.strip_suffix(PACKED).unwrap_or(rest)).and_then(|rest| rest.parse().ok());
            if let Some(number) = number {
                found.insert(number, entry.path());
            }
        }
        Ok(found)
    }

    /// Closes the open file under the next number.
    pub(super) fn close_open_file(&self, number: u64) -> io::Result<()> {
        fs_err::rename(self.open_file(), self.path(number, ""))
    }

    fn path(&self, number: u64, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{number}{suffix}", self.open))
    }

    /// Removes what is too old and packs the rest. Blocks; what fails is tried again at the next time.
    pub(super) fn tidy(&self, keep: u32) -> io::Result<()> {
        let _packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        let list = self.list()?;
        let surplus = list.len().saturating_sub(keep as usize);
        for (number, _) in list.iter().take(surplus) {
            for suffix in ["", PACKED, UNFINISHED] {
                remove(&self.path(*number, suffix))?;
            }
        }
        for (number, path) in list.iter().skip(surplus) {
            if !path.as_os_str().as_encoded_bytes().ends_with(PACKED.as_bytes()) {
                self.pack(*number)?;
            }
        }
        Ok(())
    }

    fn pack(&self, number: u64) -> io::Result<()> {
        let (plain, unfinished) = (self.path(number, ""), self.path(number, UNFINISHED));
        let packed = pack_to(&plain, &unfinished);
        if packed.is_err() {
            remove(&unfinished)?;
        }
        packed?;
        fs_err::rename(unfinished, self.path(number, PACKED))?;
        remove(&plain)
    }

    /// Opens a closed file to read it, packed or not.
    pub(super) fn read(&self, number: u64) -> io::Result<Box<dyn Read>> {
        // It may be packed between two tries.
        for _ in 0..2 {
            match fs_err::File::open(self.path(number, PACKED)) {
                Ok(file) => return Ok(Box::new(zstd::Decoder::new(file)?)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match fs_err::File::open(self.path(number, "")) {
                Ok(file) => return Ok(Box::new(BufReader::new(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // It was removed.
        Ok(Box::new(io::empty()))
    }
}

fn pack_to(plain: &Path, unfinished: &Path) -> io::Result<()> {
    let to = fs_err::File::create(unfinished)?;
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    io::copy(&mut fs_err::File::open(plain)?, &mut encoder)?;
    encoder.finish()?.sync_data()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A name that is one component of a path and not hidden.
pub(crate) fn file_name(service: &str) -> String {
    let name: String =
        service.chars().map(|character| if "/\0".contains(character) { '_' } else { character }).collect();
    if name.is_empty() || name.starts_with('.') { format!("_{name}") } else { name }
}
