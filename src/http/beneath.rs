//! Opens files beneath a root, whatever the path says.
//!
//! Walks from folder to folder with `O_NOFOLLOW`, so that no symlink leads out, not even one that is put
//! there between a check and the opening.

use std::fs::{File, Metadata};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File as ServedFile};

/// The file system as [`tower_http::services::ServeDir`] may see it. Paths are relative to the root.
#[derive(Debug, Clone)]
pub(super) struct Beneath {
    root: Arc<Path>,
}

impl Beneath {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    async fn open_regular(self, path: PathBuf) -> io::Result<(File, Metadata)> {
        tokio::task::spawn_blocking(move || open_beneath(&self.root, &path))
            .await
            .map_err(io::Error::other)?
    }
}

fn open_beneath(root: &Path, path: &Path) -> io::Result<(File, Metadata)> {
    let folder = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // Non-blocking: opening a FIFO would wait for a writer.
    let leaf = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let names = names_of(path)?;
    let (name, folders) = names.split_last().ok_or(io::ErrorKind::NotFound)?;
    // The root itself may be a symlink: that is the operator's choice.
    let mut at: OwnedFd = open(root, folder, Mode::empty())?;
    for step in folders {
        at = openat(&at, *step, folder | OFlag::O_NOFOLLOW, Mode::empty()).map_err(hidden)?;
    }
    let file = File::from(openat(&at, *name, leaf, Mode::empty()).map_err(hidden)?);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn names_of(path: &Path) -> io::Result<Vec<&Path>> {
    path.components()
        .filter(|component| !matches!(component, Component::CurDir))
        .map(|component| match component {
            Component::Normal(name) => Ok(Path::new(name)),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
        .collect()
}

/// A symlink in the way looks like nothing at all.
fn hidden(error: nix::Error) -> io::Error {
    match error {
        nix::Error::ELOOP | nix::Error::ENOTDIR | nix::Error::ENXIO => io::ErrorKind::NotFound.into(),
        other => other.into(),
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl Backend for Beneath {
    type File = OpenFile;
    type Metadata = Metadata;
    type OpenFuture = Boxed<'static, OpenFile>;
    type MetadataFuture = Boxed<'static, Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let open = self.clone().open_regular(path);
        Box::pin(async move {
            let (file, metadata) = open.await?;
            Ok(OpenFile { file: tokio::fs::File::from_std(file), metadata })
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let open = self.clone().open_regular(path);
        Box::pin(async move { Ok(open.await?.1) })
    }
}

/// An open file and what was known of it at that moment: a rename over its name changes neither.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: tokio::fs::File,
    metadata: Metadata,
}

impl ServedFile for OpenFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = std::future::Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        std::future::ready(Ok(self.metadata.clone()))
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(cx, buf)
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}
