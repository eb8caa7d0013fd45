//! Profiles, and what is said beside them.

use super::*;

#[test]
fn a_profile_for_little_delay_beside_longer_segments_is_a_warning() {
    let warnings = |defaults: &str, camera: &str| {
        let text = format!(
            "defaults: {{settings: {{{defaults}}}}}\ncameras: [{{id: c, rtsp_url: test://, settings: {{{camera}}}}}]\n"
        );
        warnings_in(&text, &Stub::supabase())
    };
    let told = warnings("", "profile: low, segment_duration: 2");
    let [told] = told.as_slice() else { panic!("{told:?}") };
    for wanted in ["cameras[0].settings.profile", "is low", "(2 s)", "wins over its 1 s", "leave one"] {
        assert!(told.contains(wanted), "{told}");
    }
    assert_eq!(warnings("profile: realtime, segment_duration: 1", "").len(), 1);
    // Meant so, all of them.
    for (defaults, camera) in [
        ("", "profile: low, segment_duration: 0.6"),
        ("", "profile: low, segment_duration: 1"),
        // As the fault says that a whole number of frames is wanted.
        ("target_fps: 15", "profile: realtime, segment_duration: 0.6"),
        ("", "profile: stable, segment_duration: 4"),
        ("", "profile: sub_second, segment_duration: 2"),
        ("segment_duration: 2", "profile: low"),
        ("profile: low", "segment_duration: 2"),
    ] {
        assert_eq!(warnings(defaults, camera), Vec::<String>::new(), "{defaults} | {camera}");
    }
}
