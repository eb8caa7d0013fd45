//! A stream in parts in the page: by their names, past parts that are lost and past everything that can be taken away.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use crate::browser::free_address;
use crate::player::watch;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::viewer::Viewer;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, alone, minio, playlist_of};

const CAMERA: &str = "cam_floor";
/// Longer than the backlog is.
const OUTAGE_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_plays_parts_and_goes_on_past_what_is_taken_away() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { size: (640, 360), ..CameraOpts::default() }).await;
    // Of the agent alone: viewers ask MinIO.
    let uplink = FaultProxy::start(&minio.endpoint).await;
    let listen = free_address();
    let mut place = Place::new("sub-second");
    let more = format!(
        "http:\n  listen: {listen}\ndefaults:\n  settings: {{profile: sub_second, target_width: 640, target_fps: 20}}\n"
    );
    place.configure_at(&uplink.http(), &minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;

    let page = format!("http://{listen}/?src={playlist}");
    let (tell, mut told) = mpsc::unbounded_channel();
    let args = ["--page", &page];
    let playing = watch("parts.mjs", &args, |line| drop(tell.send(line.to_owned())));
    tokio::pin!(playing);
    loop {
        let line = tokio::select! {
            () = &mut playing => break,
            Some(line) = told.recv() => line,
        };
        match line.as_str() {
            "ffmpeg: now" => {
                for ffmpeg in place.ffmpegs() {
                    // It may have ended by itself.
                    _ = kill(Pid::from_raw(ffmpeg.pid.cast_signed()), Signal::SIGKILL);
                }
            }
            "agent: now" => {
                agent.kill9().await;
                agent = place.start(&[]);
            }
            "storage: now" => {
                uplink.set(Fault::Refuse).await;
                // Parts and segments are lost.
                agent.log_line(&["warn", "given up"], OUTAGE_WITHIN).await;
                uplink.set(Fault::None).await;
            }
            _ => {}
        }
    }
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}
