//! Disks that are full, read-only, or damaged.

use std::io::{Seek as _, SeekFrom, Write as _};

use masque_store::{Append, Error, Store};
use masque_testkit::{
    database::TestDatabase,
    disk::SmallDisk,
    sample::{event, head, new_run, run_id},
};
use masque_types::{id::Seq, run::RunStatus};

fn append(seq: Seq) -> Append {
    let text: String =
        (0..1500).map(|n| char::from(b'a' + u8::try_from((n * seq + n * n / 7) % 26).unwrap())).collect();
    Append::new(run_id(1), 0, vec![event(seq, 0, &text)], head(RunStatus::Running))
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_heals() {
    let Some(disk) = SmallDisk::mount(4 << 20) else { return };
    let path = disk.path().join("masque.db");
    let store = Store::open_sqlite(&path).await.unwrap();
    store.create_run(new_run(run_id(1))).await.unwrap();
    let filler = disk.fill();
    let mut acknowledged = 1;
    let error = loop {
        match store.append(append(acknowledged + 1)).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::DiskFull { place: path.display().to_string() });
    store.append(append(acknowledged + 1)).await.unwrap_err();
    assert_eq!(store.journal(run_id(1), 0).await.unwrap().len() as u64, acknowledged);

    fs_err::remove_file(filler).unwrap();
    for _ in 0..20 {
        store.append(append(acknowledged + 1)).await.unwrap();
        acknowledged += 1;
    }
    store.close().await.unwrap();
    let again = Store::open_sqlite(&path).await.unwrap();
    assert_eq!(again.journal(run_id(1), 0).await.unwrap().len() as u64, acknowledged);
    again.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_is_named() {
    let Some(disk) = SmallDisk::mount(4 << 20) else { return };
    let path = disk.path().join("masque.db");
    Store::open_sqlite(&path).await.unwrap().close().await.unwrap();
    disk.make_read_only();
    for path in [path, disk.path().join("new.db"), disk.path().join("new/directory/masque.db")] {
        let error = Store::open_sqlite(&path).await.unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_panic() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.create_run(new_run(run_id(1))).await.unwrap();
    for seq in 2..=200 {
        store.append(append(seq)).await.unwrap();
    }
    store.close().await.unwrap();
    let mut file = fs_err::OpenOptions::new().write(true).open(database.file().unwrap()).unwrap();
    file.seek(SeekFrom::Start(8 * 4096)).unwrap();
    file.write_all(&vec![0xa5; 200 * 1024]).unwrap();
    drop(file);
    let damaged = async {
        let store = database.try_open().await?;
        let read = store.journal(run_id(1), 0).await;
        store.close().await?;
        read
    };
    let error = damaged.await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}
