//! What is sent to an engine that builds an image: the directory as an archive in a file without a name.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
};

use super::BuildSpec;
use crate::Error;

/// The instructions of a build.
pub(super) fn instructions(spec: &BuildSpec) -> Result<String, Error> {
    if let Some(text) = spec.texts.get(&spec.file) {
        return Ok(text.clone());
    }
    fs_err::read_to_string(spec.context.join(&spec.file)).map_err(Error::system("read how an image is built"))
}

/// The images that instructions start from: those that are neither stages of the same file nor empty, nor named by
/// variables, which only the engine knows.
pub(super) fn bases(instructions: &str) -> Vec<String> {
    let mut stages: Vec<&str> = vec!["scratch"];
    let mut bases = Vec::new();
    for line in instructions.lines() {
        let mut words = line.split_whitespace().filter(|word| !word.starts_with("--"));
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM")) {
            continue;
        }
        let Some(image) = words.next() else { continue };
        if !stages.contains(&image) && !image.contains('$') {
            bases.push(image.to_owned());
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("AS")) {
            stages.extend(words.next());
        }
    }
    bases
}

/// Packs the context. The file is gone when it is closed.
pub(super) fn pack(spec: &BuildSpec) -> Result<File, Error> {
    let failed = Error::system("pack the files of an image");
    let mut archive = tar::Builder::new(tempfile::tempfile().map_err(&failed)?);
    archive.follow_symlinks(false);
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs_err::read_dir(spec.context.join(&below)).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let path = below.join(entry.file_name());
            if is_left_out(spec, &path) {
                continue;
            }
            let kind = entry.file_type().map_err(&failed)?;
            // Sockets, pipes and devices mean nothing elsewhere.
            if kind.is_dir() || kind.is_file() || kind.is_symlink() {
                archive.append_path_with_name(entry.path(), &path).map_err(&failed)?;
            }
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    for (path, source) in &spec.files {
        archive.append_path_with_name(source, path).map_err(&failed)?;
    }
    for (path, text) in &spec.texts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).map_err(&failed)?;
    }
    let mut file = archive.into_inner().map_err(&failed)?;
    file.flush().and_then(|()| file.rewind()).map_err(&failed)?;
    Ok(file)
}

fn is_left_out(spec: &BuildSpec, path: &Path) -> bool {
    let ignored = path.file_name().is_some_and(|name| spec.ignored.iter().any(|ignored| name == ignored.as_str()));
    ignored || spec.texts.contains_key(path) || spec.files.contains_key(path)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io::Read as _, path::PathBuf};

    use super::{bases, pack};
    use crate::BuildSpec;

    #[test]
    fn images_to_start_from_are_found() {
        let text =
            "# FROM no\nARG X=1\nFROM --platform=linux/amd64 a:1 AS build\nfrom b\nFROM build\nFROM $X\nFROM scratch\n";
        assert_eq!(bases(text), ["a:1", "b"]);
    }

    #[test]
    fn the_context_holds_files_links_and_additions_and_nothing_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs_err::create_dir_all(at("a/.git")).unwrap();
        fs_err::write(at("a/.git/config"), "secret").unwrap();
        fs_err::write(at("a/file"), "1").unwrap();
        fs_err::write(at("Containerfile"), "old").unwrap();
        fs_err::os::unix::fs::symlink("/nowhere", at("a/link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let spec = BuildSpec {
            image: "x".to_owned(),
            context: directory.path().to_owned(),
            file: "Containerfile".into(),
            ignored: vec![".git".to_owned()],
            texts: [("Containerfile".into(), "FROM scratch".to_owned())].into(),
            files: [(".masque/masque".into(), at("a/file"))].into(),
        };
        let mut archive = tar::Archive::new(pack(&spec).unwrap());
        let mut found = BTreeSet::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path: PathBuf = entry.path().unwrap().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert((path.to_string_lossy().trim_end_matches('/').to_owned(), text));
        }
        let expected =
            [(".masque/masque", "1"), ("Containerfile", "FROM scratch"), ("a", ""), ("a/file", "1"), ("a/link", "")];
        assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
    }
}
