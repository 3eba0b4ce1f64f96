//! Watching: after whatever happens to the files, the index equals a fresh rebuild.

use std::time::Duration;

use masque_memory::sync::{Report, Watching};
use masque_store::Store;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{World, has_as_much, remembered};

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(120);

struct Watched {
    watching: Watching,
    scans: UnboundedReceiver<()>,
    store: Store,
}

impl Watched {
    async fn start(world: &World) -> Self {
        let syncer = world.syncer().await;
        let store = syncer.index().store().clone();
        let (sender, scans) = unbounded_channel();
        let watching = Watching::start(syncer, move |report| {
            assert!(!matches!(report, Report::Failed(_)), "{report:?}");
            if matches!(report, Report::Scanned(_)) {
                let _ = sender.send(());
            }
        });
        let mut watched = Self { watching, scans, store };
        watched.scan().await;
        watched
    }

    async fn scan(&mut self) {
        tokio::time::timeout(GUARD, self.scans.recv()).await.unwrap().unwrap();
    }

    /// Waits until the index is what a rebuild gives.
    async fn catch_up(&mut self, world: &World) {
        let expected = world.rebuilt().await;
        while !has_as_much(&self.store, &expected).await {
            self.scan().await;
        }
        assert_eq!(remembered(&self.store).await, expected);
    }

    async fn close(self) {
        self.watching.close().await;
        self.store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_deletes_and_moves_are_followed() {
    let world = World::new();
    world.write("a.md", "# A\n\nold");
    let mut watched = Watched::start(&world).await;

    world.save_by_rename("a.md", "# A\n\nnew");
    watched.catch_up(&world).await;
    world.write("deep/er/b.md", "# B");
    watched.catch_up(&world).await;
    fs_err::rename(world.path("deep"), world.path("moved")).unwrap();
    watched.catch_up(&world).await;
    // The moved directory is watched under its new name.
    world.write("moved/er/c.md", "# C");
    watched.catch_up(&world).await;
    fs_err::remove_dir_all(world.path("moved")).unwrap();
    world.write("moved/again.md", "# Back");
    watched.catch_up(&world).await;
    world.write(".gitignore", "a.md\n");
    watched.catch_up(&world).await;
    let left: Vec<String> = remembered(&watched.store).await.into_iter().map(|(source, ..)| source).collect();
    assert_eq!(left, ["docs/moved/again.md"]);
    watched.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_files_at_once() {
    let world = World::new();
    let mut watched = Watched::start(&world).await;
    for number in 0..5_000 {
        world.write(&format!("{}/{}/{number}.md", number % 10, number % 70), format!("# File {number}\n\nwords"));
    }
    watched.catch_up(&world).await;
    // Another branch: a third changes, a third goes, one directory gets another name.
    for number in (0..5_000).step_by(3) {
        world.save_by_rename(&format!("{}/{}/{number}.md", number % 10, number % 70), &format!("# Other {number}"));
    }
    for number in (1..5_000).step_by(3) {
        fs_err::remove_file(world.path(&format!("{}/{}/{number}.md", number % 10, number % 70))).unwrap();
    }
    fs_err::rename(world.path("4"), world.path("four")).unwrap();
    watched.catch_up(&world).await;
    watched.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_may_come_and_go() {
    let world = World::new();
    let mut watched = Watched::start(&world).await;
    world.write("a.md", "# A");
    watched.catch_up(&world).await;
    fs_err::remove_dir_all(world.path("")).unwrap();
    watched.catch_up(&world).await;
    world.write("b.md", "# B");
    watched.catch_up(&world).await;
    watched.close().await;
}
