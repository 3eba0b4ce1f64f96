//! What an executable needs to run in an image that has no fitting loader and libraries.
//!
//! The libraries are those that the running process has mapped: exactly what it needs, found without a search of its
//! own. Inside, each stands under the name by which others ask for it (its `DT_SONAME`), and the executable is started
//! by the loader that it names (its `PT_INTERP`).

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
};

use object::{
    Endianness,
    elf::{DT_SONAME, FileHeader64},
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _},
    },
};

use crate::{Error, inside};

/// Mappings with a path that are no files.
const NO_FILES: [&str; 3] = ["/memfd:", "/dev/", "/SYSV"];

/// The loader and the libraries of the running process; none when it is static.
///
/// # Errors
/// When `/proc` cannot be read, or a library was replaced since the process was started.
pub fn libraries_of_this_process() -> Result<Vec<PathBuf>, Error> {
    let failed = Error::system("find the libraries of this process");
    let executable = fs_err::read_link("/proc/self/exe").map_err(&failed)?;
    let maps = fs_err::read_to_string("/proc/self/maps").map_err(&failed)?;
    let mapped: BTreeSet<PathBuf> = maps.lines().filter_map(executed).map(PathBuf::from).collect();
    mapped.into_iter().filter(|path| *path != executable).map(existing).collect()
}

/// The file of a mapping that holds code: the second word of its line is the rights, the sixth the path.
fn executed(line: &str) -> Option<&str> {
    let rights = line.split_ascii_whitespace().nth(1)?;
    let path = line.find('/').and_then(|start| line.get(start..))?;
    let is_file = NO_FILES.iter().all(|other| !path.starts_with(other));
    (rights.contains('x') && is_file).then_some(path)
}

fn existing(path: PathBuf) -> Result<PathBuf, Error> {
    if path.exists() {
        return Ok(path);
    }
    let problem = "a library of this process was replaced while it runs: start it anew".to_owned();
    Err(Error::Path { path, problem })
}

/// The words that start the `masque` of a container's spec inside, before its own arguments.
///
/// # Errors
/// When the executable cannot be read, or its loader is not among the libraries.
pub fn masque_words(executable: &Path, libraries: &[PathBuf]) -> Result<Vec<String>, Error> {
    Ok(Loading::of(executable, libraries)?.words)
}

/// How an executable is started inside, and with what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loading {
    /// Each library, and where it stands inside.
    pub(crate) places: Vec<(PathBuf, PathBuf)>,
    /// The words before the executable's own arguments, its path included.
    pub(crate) words: Vec<String>,
}

impl Loading {
    pub(crate) fn of(executable: &Path, libraries: &[PathBuf]) -> Result<Self, Error> {
        let Some(interpreter) = interpreter(executable)? else {
            return Ok(Self { places: Vec::new(), words: vec![inside::MASQUE.to_owned()] });
        };
        let mut places = Vec::new();
        let mut loader = None;
        for library in libraries {
            let name = name(library)?;
            let place = format!("{}/{name}", inside::LIBRARIES);
            if interpreter.file_name() == Some(OsStr::new(&name)) {
                loader = Some(place.clone());
            }
            places.push((library.clone(), PathBuf::from(place)));
        }
        let Some(loader) = loader else {
            return Err(Error::Path {
                path: executable.to_path_buf(),
                problem: format!("its loader {} is not among the libraries of the container", interpreter.display()),
            });
        };
        let words = [&loader, "--library-path", inside::LIBRARIES, inside::MASQUE].map(str::to_owned);
        Ok(Self { places, words: words.into() })
    }
}

/// Reads an executable or library piece by piece: it may be large.
fn read<T>(
    path: &Path,
    find: impl FnOnce(&FileHeader64<Endianness>, Endianness, &ReadCache<File>) -> object::read::Result<T>,
) -> Result<T, Error> {
    let unusable = |problem: String| Error::Path { path: path.to_path_buf(), problem };
    let file = fs_err::File::open(path).map_err(|error| unusable(error.to_string()))?;
    let data = ReadCache::new(file.into_parts().0);
    let read = || {
        let header = FileHeader64::<Endianness>::parse(&data)?;
        find(header, header.endian()?, &data)
    };
    read().map_err(|error| unusable(format!("is not an ELF file of 64 bits: {error}")))
}

/// The loader that an executable names; none when it is static.
fn interpreter(executable: &Path) -> Result<Option<PathBuf>, Error> {
    read(executable, |header, endian, data| {
        for segment in header.program_headers(endian, data)? {
            if let Some(name) = segment.interpreter(endian, data)? {
                return Ok(Some(PathBuf::from(String::from_utf8_lossy(name).into_owned())));
            }
        }
        Ok(None)
    })
}

/// The name by which others ask for a library.
fn name(library: &Path) -> Result<String, Error> {
    let own = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    read(library, |header, endian, data| {
        let table = header.sections(endian, data)?.dynamic_table(endian, data)?;
        let name = table.iter().find(|entry| entry.tag == DT_SONAME).map(|entry| table.string(entry)).transpose()?;
        Ok(name.map_or(own, |name| String::from_utf8_lossy(name).into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::{Loading, executed, libraries_of_this_process};

    #[test]
    fn this_process_is_loaded_by_its_own_loader_among_its_own_libraries() {
        let executable = fs_err::read_link("/proc/self/exe").unwrap();
        let libraries = libraries_of_this_process().unwrap();
        let loading = Loading::of(&executable, &libraries).unwrap();
        assert_eq!(loading.words.last().unwrap(), "/run/masque/masque");
        if !libraries.is_empty() {
            assert!(loading.words[0].starts_with("/run/masque/lib/ld"), "{loading:?}");
            assert!(Loading::of(&executable, &[]).is_err());
        }
        assert!(loading.places.iter().all(|(_, inside)| inside.starts_with("/run/masque/lib")));
    }

    #[test]
    fn only_files_with_code_count() {
        assert_eq!(executed("7f-8f r-xp 00 fe:00 1  /lib/a b.so.1"), Some("/lib/a b.so.1"));
        assert_eq!(executed("7f-8f r--p 00 fe:00 1  /lib/a.so.1"), None);
        assert_eq!(executed("7f-8f r-xp 00 00:00 0  [vdso]"), None);
        assert_eq!(executed("7f-8f r-xp 00 00:01 7  /memfd:code (deleted)"), None);
    }
}
