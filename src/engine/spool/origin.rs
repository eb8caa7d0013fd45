//! What this box served itself of cameras that it serves no more: it takes memory. The numbers of a later stream of the
//! same name follow the clock (`domain::origin`), so nothing of it is needed.

use std::fs;
use std::path::Path;

use super::root::CameraSpool;
use crate::domain::ids::CameraId;
use crate::domain::key::ORIGIN_NAME;

/// Removes what is left of this camera's, unless another agent runs it.
pub fn forget(root: &Path, camera: &CameraId) {
    let folder = root.join(camera.as_str()).join(ORIGIN_NAME);
    if !folder.is_dir() {
        return;
    }
    let removed = CameraSpool::claim(root, camera).map(|_claimed| fs::remove_dir_all(&folder));
    if let Ok(Err(error)) = removed {
        tracing::debug!(%camera, %error, "what this box served of the camera could not be removed");
    }
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
    use super::*;

    #[test]
    fn what_nobody_serves_any_more_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let has = |camera: &str| root.path().join(camera).join(ORIGIN_NAME).join("stream.m3u8").exists();
        for camera in ["kept", "gone", "taken"] {
            fs::create_dir_all(root.path().join(camera).join(ORIGIN_NAME)).unwrap();
            fs::write(root.path().join(camera).join(ORIGIN_NAME).join("stream.m3u8"), b"x").unwrap();
        }
        fs::create_dir_all(root.path().join("other/things")).unwrap();
        let _taken = CameraSpool::claim(root.path(), &"taken".parse().unwrap()).unwrap();
        tidy(root.path(), |camera| camera.as_str() == "kept");
        assert_eq!(["kept", "gone", "taken"].map(has), [true, false, true]);
        assert!(root.path().join("other/things").exists() && root.path().join("gone").exists());
        tidy(&root.path().join("absent"), |_| false);
    }
}
