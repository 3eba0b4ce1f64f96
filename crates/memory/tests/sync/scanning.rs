//! Scans: what is added, changed, removed and left out.

use std::os::unix::fs::symlink;

use masque_memory::sync::Changes;
use masque_store::ForgetFilter;

use crate::support::{World, remembered, spec, syncer};

fn sources(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("docs/{name}")).collect()
}

fn check(changes: &Changes, added: &[&str], changed: &[&str], removed: &[&str], unchanged: usize) {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    assert_eq!(sorted(&changes.added), sources(added), "added");
    assert_eq!(sorted(&changes.changed), sources(changed), "changed");
    assert_eq!(sorted(&changes.removed), sources(removed), "removed");
    assert_eq!(changes.unchanged, unchanged, "unchanged: {changes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_follows_its_directory() {
    let world = World::new();
    let mut syncer = world.syncer().await;
    check(&syncer.scan().await.unwrap(), &[], &[], &[], 0);

    world.write("a.md", "# A\n\nfirst");
    world.write("b/c.md", "# C\n\nsecond");
    world.write("b/d.txt", "third");
    check(&syncer.scan().await.unwrap(), &["a.md", "b/c.md", "b/d.txt"], &[], &[], 0);
    check(&syncer.scan().await.unwrap(), &[], &[], &[], 3);

    world.write("a.md", "# A\n\nFIRST");
    fs_err::rename(world.path("b"), world.path("e")).unwrap();
    check(&syncer.scan().await.unwrap(), &["e/c.md", "e/d.txt"], &["a.md"], &["b/c.md", "b/d.txt"], 0);
    assert_eq!(remembered(syncer.index().store()).await, world.rebuilt().await);

    // A file that becomes a directory, a document that is forgotten, a root that is gone.
    fs_err::remove_file(world.path("a.md")).unwrap();
    world.write("a.md/inner.md", "# Inner");
    let namespaces = vec![syncer.spec().namespace.clone()];
    let forget = ForgetFilter { namespaces, sources: sources(&["e/c.md"]), ..ForgetFilter::default() };
    syncer.index().store().forget(forget).await.unwrap();
    check(&syncer.scan().await.unwrap(), &["a.md/inner.md", "e/c.md"], &[], &["a.md"], 1);
    fs_err::remove_dir_all(world.path("")).unwrap();
    check(&syncer.scan().await.unwrap(), &[], &[], &["a.md/inner.md", "e/c.md", "e/d.txt"], 0);
    syncer.index().store().clone().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_belong_is_left_out() {
    let world = World::new();
    world.write("keep.md", "# Keep");
    world.write("secret/key.md", "hidden by the spec");
    world.write("draft.md~", "an editor's copy");
    world.write(".hidden/x.md", "hidden by its name");
    world.write(".gitignore", "target/\n*.log\n");
    world.write("target/out.md", "built");
    world.write("build.log", "logged");
    world.write("picture.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    let outside = world.directory.path().join("outside.md");
    fs_err::write(&outside, "not ours").unwrap();
    symlink(&outside, world.path("out.md")).unwrap();
    symlink("keep.md", world.path("again.md")).unwrap();
    symlink(".", world.path("loop")).unwrap();
    symlink(world.path(""), world.path("other-loop")).unwrap();
    let huge = fs_err::File::create(world.path("huge.md")).unwrap();
    huge.set_len(500 << 20).unwrap();

    let mut syncer = world.syncer().await;
    let changes = syncer.scan().await.unwrap();
    check(&changes, &["keep.md"], &[], &[], 0);
    let mut reasons: Vec<(&str, &str)> =
        changes.left_out.iter().map(|out| (out.source.as_str(), out.reason.as_str())).collect();
    reasons.sort_unstable();
    let expected =
        [("docs/huge.md", "524288000 bytes"), ("docs/out.md", "leads out"), ("docs/picture.md", "image/png")];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for ((source, reason), (expected_source, part)) in reasons.iter().zip(expected) {
        assert!(*source == expected_source && reason.contains(part), "{source}: {reason}");
    }

    // What becomes unreadable is forgotten; what becomes readable is found.
    world.write("keep.md", [0_u8, 1, 2, 3]);
    world.write("picture.md", "# Words now");
    check(&syncer.scan().await.unwrap(), &["picture.md"], &[], &["keep.md"], 0);
    syncer.index().store().clone().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_others_stay() {
    let world = World::new();
    world.write("a.md", "# A");
    let store = world.database.open().await;
    let mut whole = spec(&world.path(""));
    whole.prefix = "docs/deep/".to_owned();
    syncer(store.clone(), whole).scan().await.unwrap();
    fs_err::remove_file(world.path("a.md")).unwrap();
    world.write("b.md", "# B");
    check(&syncer(store.clone(), world.spec()).scan().await.unwrap(), &["b.md"], &[], &[], 0);
    let left: Vec<String> = remembered(&store).await.into_iter().map(|(source, ..)| source).collect();
    assert_eq!(left, sources(&["b.md", "deep/a.md"]));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_sync_the_same_agree() {
    let world = World::new();
    for number in 0..60 {
        world.write(&format!("{}/{number}.md", number % 7), format!("# Document {number}\n\ntext"));
    }
    let (one, two) = (world.database.open().await, world.database.open().await);
    let (mut first, mut second) = (syncer(one.clone(), world.spec()), syncer(two.clone(), world.spec()));
    let (a, b) = tokio::join!(first.scan(), second.scan());
    assert_eq!(a.unwrap().left_out.len() + b.unwrap().left_out.len(), 0);
    for number in 0..30 {
        world.write(&format!("{}/{number}.md", number % 7), format!("# Changed {number}"));
        fs_err::remove_file(world.path(&format!("{}/{}.md", (number + 30) % 7, number + 30))).unwrap();
    }
    let (a, b) = tokio::join!(first.scan(), second.scan());
    a.unwrap();
    b.unwrap();
    assert_eq!(remembered(&one).await, world.rebuilt().await);
    one.close().await.unwrap();
    two.close().await.unwrap();
}
