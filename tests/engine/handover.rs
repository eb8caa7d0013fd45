//! A copy whose first segment shows that keyframes are farther apart than was supposed: nothing of it was published, so
//! that it goes on under an engine that knows.

use edge_agent::engine::ffmpeg::Handover;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A run's first frame may be stamped one late.
fn is_near(duration: Duration) -> bool {
    duration.abs_diff(2 * SECOND) <= Duration::from_millis(50)
}

struct Stream {
    workshop: Arc<Workshop>,
    spec: StreamSpec,
    acquaintance: Acquaintance,
    handover: Handover,
    folder: tempfile::TempDir,
    _camera: Camera,
}

impl Stream {
    /// Keyframes are two seconds apart, and segments are to last one.
    async fn of_unlike_keyframes() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let camera = Camera::start(CameraOpts { size: (320, 180), ..CameraOpts::default() }).await;
        let settings =
            Settings { segment_duration: SECOND, quality: Some(Quality::Auto), ..Settings::default() };
        let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
        let (workshop, spec) = workshop_of(ffmpeg, &camera.url(), folder.path(), u64::MAX, settings);
        let (acquaintance, handover) = (Acquaintance::default(), Handover::default());
        acquaintance.is_awaited(true);
        Self { workshop, spec, acquaintance, handover, folder, _camera: camera }
    }

    fn engine(&self) -> FfmpegEngine {
        let (workshop, spec) = (self.workshop.clone(), self.spec.clone());
        FfmpegEngine::acquainted(workshop, spec, self.acquaintance.clone()).following(self.handover.clone())
    }

    /// Behind a glance; the engine of what is kept then is gone.
    async fn hand_over(&self, id: RunId) {
        let mut glance = start(&self.engine()).await;
        assert_eq!(exit(&mut glance).await.cause, Cause::Asked);
        let engine = self.engine();
        assert_eq!(engine.choice().segment_duration, SECOND, "{}", engine.choice().why);
        let mut run = engine.start(id).await.expect("it starts");
        assert_eq!(next(&mut run).await, EngineEvent::Outgrown);
        assert!(engine.is_outgrown() && engine.takes_over().is_none());
        engine.hand_over(id, run);
    }

    fn has_folder_of(&self, id: RunId) -> bool {
        self.folder.path().join("cam").join(id.to_string()).exists()
    }
}

#[tokio::test]
async fn a_copy_with_longer_gops_than_supposed_goes_on_under_the_next_engine() {
    let (stream, id) = (Stream::of_unlike_keyframes().await, RunId::new(1, 7));
    stream.hand_over(id).await;
    let engine = stream.engine();
    assert_eq!(engine.takes_over(), Some(id));
    assert!(is_near(engine.choice().segment_duration), "{:?}", engine.choice());
    let mut run = engine.start(id).await.expect("it goes on");
    for index in 0..3 {
        let segment = segment(&mut run).await;
        assert_eq!((segment.run, segment.index), (id, index));
        assert!(is_near(segment.duration) && path(&segment).exists(), "{segment:?}");
    }
    assert!(!engine.is_outgrown() && engine.takes_over().is_none());
    run.halt(Halt::Ask);
    assert_eq!(exit(&mut run).await.cause, Cause::Asked);
    drop((run, engine));
    // It let the spool go.
    let next = stream.engine();
    assert!(is_near(segment(&mut start(&next).await).await.duration));
}

#[tokio::test]
async fn a_run_that_is_not_what_the_next_engine_makes_ends() {
    let (mut stream, id) = (Stream::of_unlike_keyframes().await, RunId::new(1, 7));
    stream.hand_over(id).await;
    assert!(stream.has_folder_of(id));
    stream.spec.settings.quality = None;
    let engine = stream.engine();
    assert_eq!(engine.takes_over(), None);
    let mut run = start(&engine).await;
    assert!(segment(&mut run).await.run != id);
    until("the other run is gone", || !stream.has_folder_of(id)).await;
}

#[tokio::test]
async fn a_run_that_nobody_goes_on_with_ends() {
    let (mut stream, id) = (Stream::of_unlike_keyframes().await, RunId::new(1, 7));
    stream.hand_over(id).await;
    assert!(stream.has_folder_of(id));
    stream.handover = Handover::default();
    until("the run is gone", || !stream.has_folder_of(id)).await;
}

#[tokio::test]
async fn a_run_is_not_kept_for_a_stream_that_is_to_stop() {
    let (stream, id) = (Stream::of_unlike_keyframes().await, RunId::new(1, 7));
    stream.handover.close().await;
    stream.hand_over(id).await;
    assert!(stream.engine().takes_over().is_none());
    until("the run is gone", || !stream.has_folder_of(id)).await;
}
