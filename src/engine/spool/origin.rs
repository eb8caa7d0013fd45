//! What this box served itself of cameras that it serves no more: it takes memory. The numbers of a later stream of the
//! same name follow the clock (`domain::origin`), so nothing of it is needed.
//!
//! A spool root may hold other things, as `/mnt/data` does. So a folder counts only where an agent's lock lies beside it,
//! only files with names of this agent's are removed, and no link is followed.

use std::fs;
use std::io;
use std::path::Path;

use super::root::{CameraSpool, was_claimed};
use crate::domain::ids::CameraId;
use crate::domain::key::{Layout, ORIGIN_NAME, is_temp};

/// Removes what is left of this camera's, unless another agent runs it.
pub fn forget(root: &Path, camera: &CameraId) {
    let folder = root.join(camera.as_str());
    let origin = folder.join(ORIGIN_NAME);
    let is_folder = fs::symlink_metadata(&origin).is_ok_and(|meta| meta.is_dir());
    if !is_folder || !was_claimed(&folder) {
        return;
    }
    let layout = Layout::of_origin(camera);
    let removed = CameraSpool::claim(root, camera).map(|_claimed| remove(&origin, &layout));
    if let Ok(Err(error)) = removed {
        tracing::debug!(%camera, %error, "what this box served of the camera could not be removed");
    }
}

/// The agent's own files, and the folder if nothing else is in it.
fn remove(folder: &Path, layout: &Layout) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = |name: &str| layout.gives(name) || is_temp(name);
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_ours) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// The same of all cameras but those that `is_kept`: of earlier configurations.
pub fn tidy(root: &Path, is_kept: impl Fn(&CameraId) -> bool) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let camera = entry.file_name().to_str().and_then(|name| name.parse::<CameraId>().ok());
        camera.filter(|camera| !is_kept(camera)).inspect(|camera| forget(root, camera));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::key::INIT_PREFIX;

    /// As an agent leaves it: the lock, and what it served.
    fn served(root: &Path, camera: &str) -> PathBuf {
        drop(CameraSpool::claim(root, &camera.parse().unwrap()).unwrap());
        let folder = root.join(camera).join(ORIGIN_NAME);
        fs::create_dir(&folder).unwrap();
        let run = RunId::new(1, 2);
        for name in [
            "stream.m3u8".to_owned(),
            "status.json".to_owned(),
            format!("segment_{run}_000007.ts"),
            format!("{INIT_PREFIX}{run}.mp4"),
            ".00000000000000ab-3.tmp".to_owned(),
        ] {
            fs::write(folder.join(name), b"x").unwrap();
        }
        folder
    }

    #[test]
    fn what_nobody_serves_any_more_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["kept", "gone", "taken"].map(|camera| served(root.path(), camera));
        fs::create_dir_all(root.path().join("other/things")).unwrap();
        let _taken = CameraSpool::claim(root.path(), &"taken".parse().unwrap()).unwrap();
        tidy(root.path(), |camera| camera.as_str() == "kept");
        assert_eq!(folders.map(|folder| folder.exists()), [true, false, true]);
        assert!(root.path().join("other/things").exists() && root.path().join("gone").exists());
        tidy(&root.path().join("absent"), |_| false);
    }

    #[test]
    fn what_others_keep_in_the_spool_root_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let photos = root.path().join("photos").join(ORIGIN_NAME);
        fs::create_dir_all(&photos).unwrap();
        // Another agent's storage, with a camera of that name: its names are the same, and no lock lies beside it.
        for name in ["wedding.jpg", "stream.m3u8"] {
            fs::write(photos.join(name), b"x").unwrap();
        }
        tidy(root.path(), |_| false);
        assert!(photos.join("wedding.jpg").exists() && photos.join("stream.m3u8").exists());
        assert!(!root.path().join("photos/lock").exists(), "not even looked into");
    }

    #[test]
    fn other_things_stay_also_in_a_folder_of_this_agents() {
        let root = tempfile::tempdir().unwrap();
        let folder = served(root.path(), "cam");
        let elsewhere = root.path().join("elsewhere.m3u8");
        fs::write(&elsewhere, b"x").unwrap();
        fs::create_dir(folder.join("more")).unwrap();
        fs::write(folder.join("main.ts"), b"x").unwrap();
        symlink(&elsewhere, folder.join("stream_2.m3u8")).unwrap();
        forget(root.path(), &"cam".parse().unwrap());
        let left = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(
            (left, elsewhere.exists()),
            (vec!["main.ts".into(), "more".into(), "stream_2.m3u8".into()], true)
        );
    }

    #[test]
    fn no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let precious = served(elsewhere.path(), "cam").join("stream.m3u8");
        symlink(elsewhere.path().join("cam"), root.path().join("linked")).unwrap();
        drop(CameraSpool::claim(root.path(), &"inner".parse().unwrap()).unwrap());
        symlink(elsewhere.path().join("cam/origin"), root.path().join("inner").join(ORIGIN_NAME)).unwrap();
        tidy(root.path(), |_| false);
        assert!(precious.exists());
    }
}
