//! The built-in tools over MCP in temporary workspaces.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, os::unix::fs::PermissionsExt as _, os::unix::fs::symlink};

use serde_json::json;

use crate::support::Bench;

#[tokio::test]
async fn paths_out_of_the_workspace_are_refused_with_a_reason() {
    let bench = Bench::new().await;
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("key"), "SECRET").unwrap();
    bench.write("a/file", "inside");
    symlink(outside.path(), bench.path().join("out")).unwrap();
    symlink(outside.path().join("key"), bench.path().join("key")).unwrap();
    symlink("a/file", bench.path().join("inner")).unwrap();
    let sibling = format!("{}-evil/x", bench.path().display());
    let absolute = outside.path().join("key").display().to_string();
    for path in [
        "../x",
        "a/../../x",
        "a/../a/file",
        "/etc/passwd",
        "x\0y",
        "",
        "out/key",
        "key",
        "/proc/self/environ",
        &sibling,
        &absolute,
    ] {
        for (tool, arguments) in [
            ("fs.read", json!({"path": path})),
            ("fs.write", json!({"path": path, "content": "x"})),
            ("fs.edit", json!({"path": path, "old": "SECRET", "new": "x"})),
            ("fs.list", json!({"path": path})),
            ("fs.search", json!({"path": path, "pattern": "SECRET"})),
            ("shell.exec", json!({"directory": path, "command": "cat key"})),
        ] {
            let text = bench.err(tool, arguments).await;
            assert!(!text.contains("SECRET"), "{tool} {path:?}: {text}");
        }
    }
    assert_eq!(fs_err::read_to_string(outside.path().join("key")).unwrap(), "SECRET");
    assert_eq!(bench.ok("fs.read", json!({"path": "inner"})).await, "inside\n");
    let inside = bench.path().join("a/file").display().to_string();
    assert_eq!(bench.ok("fs.read", json!({"path": inside})).await, "inside\n");
    assert!(!bench.ok("fs.search", json!({"pattern": "SECRET"})).await.contains("key"));
}

#[tokio::test]
async fn a_link_swapped_during_the_calls_never_leads_out() {
    let bench = Bench::new().await;
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("file"), "SECRET").unwrap();
    bench.write("real/file", "inside");
    let root = bench.path().to_path_buf();
    let target = outside.path().to_path_buf();
    // Before the first call: writing makes the directories that are missing.
    symlink("real", root.join("place")).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flipper = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            let (spare, place) = (root.join("spare"), root.join("place"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for to in [&root.join("real"), &target] {
                    symlink(to, &spare).unwrap();
                    fs_err::rename(&spare, &place).unwrap();
                }
            }
        }
    });
    for _ in 0..300 {
        let (read, _) = bench.call("fs.read", json!({"path": "place/file"})).await;
        assert!(!read.contains("SECRET"), "{read}");
        bench.call("fs.write", json!({"path": "place/file", "content": "inside"})).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    flipper.join().unwrap();
    assert_eq!(fs_err::read_to_string(outside.path().join("file")).unwrap(), "SECRET");
}

#[tokio::test]
async fn hidden_and_protected_paths_are_out_of_reach() {
    let bench = Bench::with(|config| {
        config.hidden = vec![".env".into(), "*.pem".into(), "private/keys".into()];
        config.read_only = vec![".git/hooks".into(), ".masque".into()];
        config.writable = Some(vec!["data".into(), ".masque".into()]);
    })
    .await;
    for path in [".env", "sub/.env", "data/x.pem", "private/keys/a"] {
        bench.write(path, "TOKEN");
    }
    bench.write("note", "TOKEN here");
    symlink(".env", bench.path().join("link")).unwrap();
    for path in [".env", "sub/.env", "data/x.pem", "private/keys/a", "link"] {
        assert!(bench.err("fs.read", json!({"path": path})).await.contains("hidden"), "{path}");
    }
    assert_eq!(bench.ok("fs.search", json!({"pattern": "TOKEN"})).await, "note:1: TOKEN here\n");
    assert_eq!(bench.ok("fs.list", json!({})).await, "data/\nlink -> .env\nnote (10)\nprivate/\nsub/");
    assert!(bench.err("fs.write", json!({"path": ".masque/config", "content": ""})).await.contains("protected"));
    assert!(bench.err("fs.write", json!({"path": "data/.env", "content": ""})).await.contains("hidden"));
    assert!(bench.err("fs.write", json!({"path": "note", "content": ""})).await.contains("writable is: data"));
    bench.ok("fs.write", json!({"path": "data/new/file", "content": "x"})).await;
}

#[tokio::test]
async fn reading_shows_windows_images_and_what_binary_files_are() {
    let bench = Bench::new().await;
    bench.write("text", "one\ntwo\nthree\n");
    bench.write("latin", b"caf\xe9\n");
    bench.write("elf", b"\x7fELF\0\0");
    bench.write("picture", b"\x89PNG\r\n\x1a\nrest");
    bench.write("empty", "");
    let numbered = json!({"path": "text", "offset_line": 2, "lines": 1, "numbered": true});
    assert_eq!(bench.ok("fs.read", numbered).await, "     2\ttwo\n[lines 2-2 of 3; read on with offset_line=3]");
    assert!(bench.ok("fs.read", json!({"path": "latin"})).await.contains("not UTF-8"));
    assert!(bench.err("fs.read", json!({"path": "elf"})).await.contains("ELF"));
    assert_eq!(bench.ok("fs.read", json!({"path": "picture"})).await, "[image/png, 12 bytes]");
    assert_eq!(bench.ok("fs.read", json!({"path": "empty"})).await, "[empty]");
    assert!(bench.err("fs.read", json!({"path": "."})).await.contains("fs.list"));
    assert!(bench.err("fs.read", json!({"path": "absent"})).await.contains("fs.glob"));
    assert!(bench.err("fs.read", json!({"path": "text", "lnes": 3})).await.contains("lnes"));
    rustix::fs::mknodat(rustix::fs::CWD, bench.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert!(bench.err("fs.read", json!({"path": "pipe"})).await.contains("pipe"));
}

#[tokio::test]
async fn writing_replaces_whole_files_and_keeps_their_permissions() {
    let bench = Bench::new().await;
    assert!(
        bench.ok("fs.write", json!({"path": "a/b/c", "content": "1\n2\n"})).await.contains("created a/b/c: 2 lines")
    );
    fs_err::set_permissions(bench.path().join("a/b/c"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::hard_link(bench.path().join("a/b/c"), bench.path().join("elsewhere")).unwrap();
    assert!(bench.ok("fs.write", json!({"path": "./a/b/c", "content": "new"})).await.contains("replaced"));
    assert_eq!(bench.read("a/b/c"), "new");
    assert_eq!(bench.read("elsewhere"), "1\n2\n", "a hard link keeps its content");
    let mode = fs_err::metadata(bench.path().join("a/b/c")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(bench.err("fs.write", json!({"path": "a/b", "content": ""})).await.contains("directory"));
    assert!(bench.err("fs.write", json!({"path": "a/b/c/d", "content": ""})).await.contains("a file"));
    let left: Vec<_> = fs_err::read_dir(bench.path().join("a/b")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[tokio::test]
async fn editing_needs_the_exact_text_the_expected_number_of_times() {
    let bench = Bench::new().await;
    bench.write("f", "a = 1\nb = 1\n");
    let edit = |old: &str, new: &str| json!({"path": "f", "old": old, "new": new});
    assert!(bench.err("fs.edit", edit("= 1", "= 2")).await.contains("2 times"));
    assert!(bench.err("fs.edit", edit("c = 1", "x")).await.contains("not in `f`"));
    assert!(bench.err("fs.edit", edit("a  =  1", "x")).await.contains("white space"));
    assert!(bench.err("fs.edit", json!({"path": "f", "old": "a"})).await.contains("either"));
    bench.ok("fs.edit", edit("a = 1", "a = 2")).await;
    bench.ok("fs.edit", json!({"path": "f", "patch": "--- f\n+++ f\n@@ -1,2 +1,3 @@\n a = 2\n+new\n b = 1\n"})).await;
    assert_eq!(bench.read("f"), "a = 2\nnew\nb = 1\n");
    assert!(
        bench.err("fs.edit", json!({"path": "f", "patch": "@@ -1 +1 @@\n-zzz\n+y\n"})).await.contains("does not fit")
    );
    bench.write("crlf", "one\r\ntwo\r\n");
    assert!(bench.err("fs.edit", json!({"path": "crlf", "old": "one\ntwo", "new": "x"})).await.contains("\\r\\n"));
}

#[tokio::test]
async fn listing_finding_and_searching_respect_gitignore_and_odd_names() {
    let bench = Bench::new().await;
    bench.write(".gitignore", "target/\n*.log\n");
    bench.write("src/main.rs", "fn main() {}\n// needle\nlast\n");
    bench.write("src/lib.py", "needle = 1\n");
    bench.write("target/out.rs", "needle");
    bench.write("x.log", "needle");
    bench.write(".git/HEAD", "needle");
    bench.write("bin", b"needle\0");
    fs_err::write(bench.path().join(OsStr::from_bytes(b"odd\xff.txt")), "needle\n").unwrap();
    symlink("src", bench.path().join("loop")).unwrap();
    let tree = bench.ok("fs.list", json!({})).await;
    assert_eq!(tree, ".gitignore (14)\nbin (7)\nloop -> src\nodd\\xff.txt (7)\nsrc/\n  lib.py (11)\n  main.rs (28)");
    assert_eq!(bench.ok("fs.glob", json!({"pattern": "*.rs"})).await, "src/main.rs");
    assert_eq!(
        bench.ok("fs.glob", json!({"pattern": "*.rs", "include_ignored": true})).await,
        "src/main.rs\ntarget/out.rs"
    );
    assert_eq!(bench.ok("fs.glob", json!({"pattern": "*.rs", "path": "src"})).await, "src/main.rs");
    let found = bench.ok("fs.search", json!({"pattern": "NEEDLE", "ignore_case": true})).await;
    assert_eq!(found, "odd\\xff.txt:1: needle\nsrc/lib.py:1: needle = 1\nsrc/main.rs:2: // needle\n");
    let context = json!({"pattern": "needle", "file_type": "rust", "context": 1});
    assert_eq!(
        bench.ok("fs.search", context).await,
        "src/main.rs-1- fn main() {}\nsrc/main.rs:2: // needle\nsrc/main.rs-3- last\n"
    );
    let capped = bench.ok("fs.search", json!({"pattern": "needle", "max_results": 1})).await;
    assert!(capped.ends_with("[stopped after 1 matches: narrow the search, or raise max_results]"), "{capped}");
    assert!(bench.err("fs.search", json!({"pattern": "("})).await.contains("literal"));
    bench.ok("fs.search", json!({"pattern": "(", "literal": true, "path": "src/main.rs"})).await;
    assert!(bench.err("fs.glob", json!({"pattern": "[a"})).await.contains("pattern"));
}

#[tokio::test]
async fn commands_return_their_end_and_are_ended_whole() {
    let bench = Bench::new().await;
    let exec = |command: &str| json!({"command": command});
    assert_eq!(
        bench.ok("shell.exec", exec("pwd; echo e >&2")).await,
        format!("exit code: 0\nstdout:\n{}\n\nstderr:\ne\n", bench.path().display())
    );
    assert!(bench.err("shell.exec", exec("exit 3")).await.starts_with("exit code: 3"));
    assert!(bench.err("shell.exec", exec("kill -9 $$")).await.starts_with("ended by signal 9"));
    let long = bench.ok("shell.exec", exec("head -c 1000000 /dev/zero | tr '\\0' x; echo end")).await;
    assert!(long.len() < 140_000 && long.contains("bytes cut here]") && long.ends_with("end\n"));
    let timed = json!({"command": "echo begun; sleep 1000 & sleep 1000", "timeout_s": 1});
    let text = bench.err("shell.exec", timed).await;
    assert!(text.starts_with("ended after 1 s") && text.contains("begun"), "{text}");
    let background = bench.ok("shell.exec", exec("sleep 1000 & echo $!")).await;
    let id: i32 = background.lines().last().unwrap().parse().unwrap();
    let gone = (0..1_000).any(|_| {
        std::thread::yield_now();
        // A zombie is gone as well: its new parent has not looked yet.
        fs_err::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") Z"))
    });
    assert!(gone, "what stays in the background ends with the call");
}
