//! What a reload changes. Pure.

use secrecy::ExposeSecret;

use super::model::{Camera, S3Credentials, Settings, StoreConfig};
use crate::domain::ids::CameraId;

/// Cameras by what happens to them, each in the order of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CameraChanges {
    pub start: Vec<CameraId>,
    pub stop: Vec<CameraId>,
    pub restart: Vec<CameraId>,
    pub unchanged: Vec<CameraId>,
}

/// From the cameras that run to those that should. `moved`: location or storage are others now, so every stream is.
pub fn camera_changes(old: &[Camera], new: &[&Camera], moved: bool) -> CameraChanges {
    let mut changes = CameraChanges::default();
    for camera in new {
        let list = match old.iter().find(|earlier| earlier.id == camera.id) {
            None => &mut changes.start,
            Some(earlier) if !moved && same_stream(earlier, camera) => &mut changes.unchanged,
            Some(_) => &mut changes.restart,
        };
        list.push(camera.id.clone());
    }
    let gone = old.iter().filter(|earlier| new.iter().all(|camera| camera.id != earlier.id));
    changes.stop = gone.map(|camera| camera.id.clone()).collect();
    changes
}

/// A new name is for the web page alone; when it runs is nothing to the stream while it does.
pub fn same_stream(a: &Camera, b: &Camera) -> bool {
    let Settings { start, idle_timeout, .. } = a.settings;
    a.source == b.source && a.settings == Settings { start, idle_timeout, ..b.settings.clone() }
}

/// Both write to the same bucket or folder, perhaps with other credentials.
pub fn same_place(a: &StoreConfig, b: &StoreConfig) -> bool {
    match (a, b) {
        (StoreConfig::S3(a), StoreConfig::S3(b)) => {
            // Amazon's buckets have one name in all regions.
            (&a.bucket, &a.endpoint) == (&b.bucket, &b.endpoint)
        }
        (StoreConfig::Supabase(a), StoreConfig::Supabase(b)) => (&a.url, &a.bucket) == (&b.url, &b.bucket),
        (StoreConfig::File(a), StoreConfig::File(b)) => a.root == b.root,
        (StoreConfig::None, StoreConfig::None) => true,
        _ => false,
    }
}

/// The same place, reached in the same way: an open store of one serves the other.
pub fn same_access(a: &StoreConfig, b: &StoreConfig) -> bool {
    let same = match (a, b) {
        (StoreConfig::S3(a), StoreConfig::S3(b)) => {
            let same_credentials = match (&a.credentials, &b.credentials) {
                (None, None) => true,
                (Some(a), Some(b)) => same_credentials(a, b),
                _ => false,
            };
            a.region == b.region && same_credentials
        }
        (StoreConfig::Supabase(a), StoreConfig::Supabase(b)) => {
            a.key.expose_secret() == b.key.expose_secret()
        }
        _ => true,
    };
    same && same_place(a, b)
}

fn same_credentials(a: &S3Credentials, b: &S3Credentials) -> bool {
    let token = |c: &S3Credentials| c.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    a.access_key_id == b.access_key_id
        && a.secret_access_key.expose_secret() == b.secret_access_key.expose_secret()
        && token(a) == token(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{LIVE_STREAM, Start};
    use proptest::prelude::*;

    fn camera(id: &str, url: &str) -> Camera {
        Camera {
            id: id.parse().unwrap(),
            name: id.into(),
            source: url.parse().unwrap(),
            use_case: LIVE_STREAM.into(),
            enabled: true,
            settings: Settings::default(),
            said: Default::default(),
        }
    }

    fn ids(names: &[&str]) -> Vec<CameraId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_shapes_the_stream_restarts_it_and_a_name_does_not() {
        let old = [
            camera("a", "test://"),
            camera("b", "test://"),
            camera("c", "rtsp://h/1"),
            camera("d", "test://"),
        ];
        let mut b = camera("b", "test://");
        b.name = "another".into();
        (b.settings.start, b.settings.idle_timeout) = (Start::OnDemand, std::time::Duration::from_secs(7));
        let mut d = camera("d", "test://");
        d.settings.target_fps = 10;
        let (c, e) = (camera("c", "rtsp://h/2"), camera("e", "test://"));
        let changes = camera_changes(&old, &[&e, &d, &c, &b], false);
        let expected = CameraChanges {
            start: ids(&["e"]),
            stop: ids(&["a"]),
            restart: ids(&["d", "c"]),
            unchanged: ids(&["b"]),
        };
        assert_eq!(changes, expected);
        assert_eq!(camera_changes(&old, &[&b], true).restart, ids(&["b"]), "another bucket, another stream");
    }

    proptest! {
        #[test]
        fn every_camera_has_one_fate(old in camera_set(), new in camera_set()) {
            let new: Vec<_> = new.iter().collect();
            let changes = camera_changes(&old, &new, false);
            let CameraChanges { start, stop, restart, unchanged } = &changes;
            let mut after: Vec<_> = [start.clone(), restart.clone(), unchanged.clone()].concat();
            let mut before: Vec<_> = [stop.clone(), restart.clone(), unchanged.clone()].concat();
            after.sort();
            before.sort();
            let sorted = |mut ids: Vec<CameraId>| { ids.sort(); ids };
            prop_assert_eq!(after, sorted(new.iter().map(|c| c.id.clone()).collect()));
            prop_assert_eq!(before, sorted(old.iter().map(|c| c.id.clone()).collect()));
            let again: Vec<_> = new.iter().map(|camera| (*camera).clone()).collect();
            prop_assert_eq!(camera_changes(&again, &new, false).unchanged.len(), new.len());
        }
    }

    fn camera_set() -> impl Strategy<Value = Vec<Camera>> {
        let kinds = prop::collection::btree_map(0..6u8, 0..3u8, 0..6);
        kinds.prop_map(|kinds| {
            kinds.iter().map(|(id, kind)| camera(&format!("c{id}"), &format!("rtsp://h/{kind}"))).collect()
        })
    }
}
