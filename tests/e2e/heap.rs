//! The agent starts itself anew to have its own settings of glibc, which are nobody else's.

use std::fs;

use crate::support::agent::Place;
use crate::{STOP_WITHIN, UP_WITHIN, my_turn};

fn variable(pid: u32, name: &str) -> Option<String> {
    let all = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let mut all = all.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    all.find_map(|one| Some(one.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

#[tokio::test]
async fn the_agent_keeps_its_id_name_and_arguments_and_ffmpeg_its_environment() {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    const OF_THE_USER: &str = "glibc.malloc.trim_threshold=262144";
    let _turn = my_turn().await;
    let mut place = Place::new("heap");
    place.env(TUNABLES, OF_THE_USER);
    place.write_config(&format!(
        "spool: {folder}/spool\nstorage: {{type: file, root: {folder}/bucket}}\n\
         cameras: [{{id: one, rtsp_url: 'test://'}}, {{id: two, rtsp_url: 'test://'}}]\n",
        folder = place.path().display(),
    ));
    let mut agent = place.start(&["--camera", "two"]);
    agent.log_line(&["camera is live", "camera=two"], UP_WITHIN).await;
    let [ffmpeg] = &place.ffmpegs()[..] else { panic!("{:?}", place.ffmpegs()) };
    assert_eq!(variable(ffmpeg.pid, TUNABLES).as_deref(), Some(OF_THE_USER));
    assert_eq!(variable(ffmpeg.pid, "EDGE_AGENT_STARTED_ANEW"), None);
    // glibc takes the list apart in its place.
    let own = fs::read(format!("/proc/{}/environ", agent.id())).unwrap();
    let own = String::from_utf8_lossy(&own).into_owned();
    if cfg!(target_env = "gnu") {
        for wanted in [OF_THE_USER, "glibc.malloc.tcache_count=0"] {
            assert!(own.contains(wanted), "{wanted} is not in {own:?}");
        }
    }
    let name = fs::read_to_string(format!("/proc/{}/comm", agent.id())).unwrap();
    assert_eq!(name.trim(), "edge-agent");
    agent.stop(STOP_WITHIN).await;
}
