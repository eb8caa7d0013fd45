//! `/streams` while the store writes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::StatusCode;

use crate::{PATIENCE, Server};

const KEY: &str = "location_1/cam_floor/stream.m3u8";
const PATH: &str = "/streams/location_1/cam_floor/stream.m3u8";

/// Each version is one letter, and of its own length.
fn version(n: usize) -> Vec<u8> {
    vec![b'a' + (n % 26) as u8; 50_000 + (n % 26) * 7001]
}

fn replace(root: &std::path::Path, n: usize) {
    let temporary = root.join(".new");
    std::fs::write(&temporary, version(n)).unwrap();
    std::fs::rename(&temporary, root.join(KEY)).unwrap();
}

const READS: usize = 300;
const REPLACEMENTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_one_version_whole() {
    let server = Server::start().await;
    server.write(KEY, version(0));
    let (done, replaced) = (AtomicBool::new(false), AtomicUsize::new(0));
    let root = server.root.path();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                replace(root, replaced.fetch_add(1, Ordering::Relaxed) + 1);
            }
        });
        // The writer ends also when a read fails.
        let _end = EndOnDrop(&done);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(read_until_enough(&server, &replaced));
        });
    });
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn read_until_enough(server: &Server, replaced: &AtomicUsize) {
    let mut reads = 0;
    while reads < READS || replaced.load(Ordering::Relaxed) < REPLACEMENTS {
        let answer = server.get(PATH).send().await.unwrap().bytes().await;
        let body = answer.expect("a body as long as its Content-Length says");
        let first = body[0];
        assert!(body.iter().all(|b| *b == first), "two versions in one answer");
        assert_eq!(body.len(), version(usize::from(first - b'a')).len());
        reads += 1;
    }
}

#[tokio::test]
async fn a_root_that_comes_later_is_served_then() {
    let server = Server::start().await;
    std::fs::remove_dir(server.root.path()).unwrap();
    assert_eq!(server.get(PATH).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    server.write(KEY, "#EXTM3U\n");
    assert_eq!(server.get(PATH).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_fifo_holds_nobody_up() {
    let server = Server::start().await;
    let path = server.root.path().join("pipe.ts");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let answer =
        tokio::time::timeout(PATIENCE, server.get("/streams/pipe.ts").send()).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
