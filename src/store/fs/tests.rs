use std::time::Duration;

use super::*;
use tempfile::TempDir;

fn store() -> (TempDir, FileStore) {
    let folder = TempDir::new().unwrap();
    let config = FileConfig { root: folder.path().join("live"), public_base_url: None };
    let store = FileStore::new(&config);
    (folder, store)
}

async fn put(store: &FileStore, key: &str) -> Result<(), StoreError> {
    store.put(&ObjectKey::new(key), Bytes::from_static(b"x"), ObjectClass::Segment).await
}

#[tokio::test]
async fn no_key_leaves_the_root() {
    let (folder, store) = store();
    for key in ["../out", "a/../../out", "/etc/out", "a//b", "", ".hidden", "a/.b", "a\0b", "..", "a/"] {
        assert!(matches!(put(&store, key).await, Err(StoreError::Rejected { .. })), "{key:?}");
        let key = ObjectKey::new(key);
        assert!(store.get(&key).await.is_err_and(|e| e != StoreError::NotFound), "{key:?}");
        assert!(store.delete(&[key]).await.is_err());
    }
    assert!(matches!(store.list("../").await, Err(StoreError::Rejected { .. })));
    assert!(!folder.path().join("out").exists());
}

#[tokio::test]
async fn files_and_folders_are_readable_for_a_web_server() {
    let (folder, store) = store();
    put(&store, "loc/cam/a.ts").await.unwrap();
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("live/loc/cam/a.ts"), 0o644);
    assert_eq!(mode("live/loc/cam"), 0o755);
    assert_eq!(mode("live"), 0o755);
    assert_eq!(fs::read_dir(folder.path().join("live/loc/cam")).unwrap().count(), 1, "no temporary file");
}

#[tokio::test]
async fn what_the_box_serves_itself_is_its_own_and_has_a_limit() {
    let folder = TempDir::new().unwrap();
    let limit = Arc::new(AtomicU64::new(2_000));
    let store = FileStore::origin(folder.path().join("spool"), limit.clone());
    let put = async |key: &str, bytes: usize, class| {
        store.put(&ObjectKey::new(key), vec![0; bytes].into(), class).await
    };
    put("cam/origin/a.ts", 1_500, ObjectClass::Segment).await.unwrap();
    let full = put("cam/origin/b.ts", 501, ObjectClass::Segment).await;
    assert!(
        matches!(&full, Err(StoreError::Unavailable { reason }) if reason.contains("spool_limit")),
        "{full:?}"
    );
    put("cam/origin/stream.m3u8", 501, ObjectClass::Playlist).await.unwrap();
    put("other/origin/b.ts", 501, ObjectClass::Segment).await.unwrap();
    store.delete(&[ObjectKey::new("cam/origin/a.ts")]).await.unwrap();
    put("cam/origin/b.ts", 501, ObjectClass::Segment).await.unwrap();
    limit.store(100, Ordering::Relaxed);
    put("cam/origin/c.ts", 1, ObjectClass::Segment).await.unwrap_err();
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("spool/cam/origin/b.ts"), mode("spool/cam/origin"), mode("spool")),
        (0o600, 0o700, 0o700)
    );
}

#[tokio::test]
async fn a_dead_process_leaves_no_temporary_files_for_ever() {
    let (folder, store) = store();
    put(&store, "cam/a.ts").await.unwrap();
    let cam = folder.path().join("live/cam");
    let (dead, own) = (cam.join(".0123456789abcdef-7.tmp"), cam.join(format!("{}9.tmp", store.instance)));
    let theirs = cam.join(".htaccess");
    for path in [&dead, &own, &theirs] {
        fs::write(path, "x").unwrap();
    }
    assert_eq!(store.list("cam/").await.unwrap(), [ObjectKey::new("cam/a.ts")]);
    assert!(!dead.exists());
    assert!(own.exists() && theirs.exists());
}

#[tokio::test]
async fn a_link_in_place_of_an_object_is_not_followed() {
    let (folder, store) = store();
    put(&store, "cam/a.ts").await.unwrap();
    let (outside, link) = (folder.path().join("outside"), folder.path().join("live/cam/b.ts"));
    fs::write(&outside, "precious").unwrap();
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    assert_eq!(store.list("cam/").await.unwrap(), [ObjectKey::new("cam/a.ts")]);
    put(&store, "cam/b.ts").await.unwrap();
    assert!(link.symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
}

#[tokio::test]
async fn what_nobody_waits_for_replaces_nothing() {
    let (folder, store) = store();
    put(&store, "cam/stream.m3u8").await.unwrap();
    let path = folder.path().join("live/cam/stream.m3u8");
    let late = super::put(&Kind::Public, &path, ".late", b"old news", &AtomicBool::new(true));
    assert!(matches!(late, Err(StoreError::Unavailable { .. })), "{late:?}");
    assert_eq!(fs::read(&path).unwrap(), b"x");
    assert!(!folder.path().join("live/cam/.late").exists());
}

#[test]
fn system_errors_have_their_class() {
    let class = |code: i32| error_at(Path::new("/srv/a"), &io::Error::from_raw_os_error(code));
    use nix::errno::Errno;
    for denied in [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::EISDIR] {
        assert!(matches!(class(denied as i32), StoreError::Denied { .. }), "{denied}");
    }
    for passing in [Errno::ENOSPC, Errno::EDQUOT, Errno::EIO, Errno::ESTALE, Errno::EMFILE] {
        assert!(matches!(class(passing as i32), StoreError::Unavailable { .. }), "{passing}");
    }
    assert!(matches!(class(Errno::ENAMETOOLONG as i32), StoreError::Rejected { .. }));
    assert!(class(Errno::ENOSPC as i32).to_string().contains("/srv/a: No space left on device"));
}

#[tokio::test]
async fn a_file_where_a_folder_should_be_is_told() {
    let (folder, store) = store();
    fs::write(folder.path().join("live"), "a file").unwrap();
    let error = put(&store, "cam/a.ts").await.unwrap_err();
    assert!(error.to_string().contains("live"), "{error}");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
}

#[test]
fn a_file_system_that_hangs_leaves_threads_for_others() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(MOST_THREADS + 1)
        .enable_all()
        .build()
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let hung = root.path().join("hung");
    // Nobody writes to it, so opening it to read hangs.
    nix::unistd::mkfifo(&hung, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let store = FileStore {
        limits: Limits { attempt: Duration::from_millis(50), ..Limits::default() },
        ..FileStore::new(&FileConfig { root: root.path().to_owned(), public_base_url: None })
    };
    let (answers, other) = runtime.block_on(async {
        let mut answers = Vec::new();
        for _ in 0..MOST_THREADS + 2 {
            answers.push(store.get(&ObjectKey::new("hung")).await);
        }
        let other = tokio::task::spawn_blocking(|| ());
        (answers, tokio::time::timeout(Duration::from_secs(10), other).await)
    });
    // Read and write at once, which no pipe lets wait: those that hang go on, and end at its end.
    for _ in 0..1_000 {
        if store.threads.available_permits() == MOST_THREADS {
            break;
        }
        drop(File::options().read(true).write(true).open(&hung).unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(answers.iter().all(|a| matches!(a, Err(StoreError::Unavailable { .. }))), "{answers:?}");
    assert!(matches!(other, Ok(Ok(()))), "{other:?}");
}
