//! Trials of encoders with the real ffmpeg, and with scripts that stand for hardware which this machine lacks.

#![expect(clippy::disallowed_methods, reason = "a test measures real time")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge_agent::config::model::Settings;
use edge_agent::domain::encoder::{Encoder, Wish};
use edge_agent::engine::ffmpeg::capabilities::{Capabilities, FfmpegError, detect};
use edge_agent::engine::ffmpeg::encoders::{Bench, Finding, RENDER_NODES, render_nodes};
use edge_agent::engine::ffmpeg::{Trials, Workshop};
use edge_agent::engine::spool::watch::SpoolWatch;
use edge_agent::sys::child::Spawner;
use tokio::sync::RwLock;

#[path = "support/script.rs"]
mod program;

/// Whoever counts this process's children has to be alone.
static CHILDREN: RwLock<()> = RwLock::const_new(());

/// `EDGE_AGENT_TEST_FFMPEG` names another one (`make ffmpegs`).
fn real() -> PathBuf {
    std::env::var_os("EDGE_AGENT_TEST_FFMPEG").unwrap_or_else(|| "ffmpeg".into()).into()
}

async fn try_all(ffmpeg: &Capabilities, nodes: Vec<PathBuf>, encoders: &[Encoder]) -> Vec<Finding> {
    let spawner = Spawner::start().expect("a thread");
    let bench = Bench { ffmpeg, spawner: &spawner, nodes, settings: &Settings::default() };
    bench.try_all(encoders).await
}

/// The real ffmpeg's answers, and a script for its work: `$OUT` is where the encoded picture goes.
async fn script(folder: &Path, body: &str) -> Capabilities {
    let path = folder.join("ffmpeg");
    program::write(&path, &format!("echo $$ > {}\n{body}", folder.join("pid").display()));
    let h264_encoders = vec!["h264_nvenc".into(), "h264_vaapi".into()];
    let found = detect(Some(&real())).await.expect("install ffmpeg: apt-get install ffmpeg");
    Capabilities { path, h264_encoders, ..found }
}

fn why(finding: &Finding) -> &str {
    match finding {
        Finding::Fails { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

/// Processes whose arguments name an encoder of the trials that this process started.
fn left_over() -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    let child = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned();
        let arguments = fs::read_to_string(path.join("cmdline")).ok()?;
        (parent == own && arguments.contains("pipe:1")).then_some(arguments)
    };
    entries.filter_map(|entry| child(entry.path())).collect()
}

#[tokio::test]
async fn the_software_encoder_passes_its_trial() {
    let _others = CHILDREN.read().await;
    let ffmpeg = detect(Some(&real())).await.expect("install ffmpeg: apt-get install ffmpeg");
    let findings = try_all(&ffmpeg, Vec::new(), &[Encoder::Software]).await;
    assert!(findings[0].works(), "{findings:?}");
}

#[tokio::test]
async fn listed_encoders_without_their_hardware_say_why_and_leave_nothing() {
    let _alone = CHILDREN.write().await;
    let ffmpeg = detect(Some(&real())).await.expect("install ffmpeg: apt-get install ffmpeg");
    let real_nodes = render_nodes(Path::new(RENDER_NODES));
    let before = Instant::now();
    // A node that is none, so that VAAPI and Quick Sync are really asked.
    let nodes = if real_nodes.is_empty() { vec!["/dev/null".into()] } else { real_nodes };
    let findings = try_all(&ffmpeg, nodes, Encoder::HARDWARE).await;
    assert!(before.elapsed() < Duration::from_secs(40), "bounded");
    assert_eq!(left_over(), Vec::<String>::new());
    for finding in &findings {
        let listed = ffmpeg.h264_encoders.iter().any(|name| name == finding.encoder().ffmpeg_name());
        match finding {
            Finding::NotListed(_) => assert!(!listed, "{finding:?}"),
            Finding::Works(_) => assert!(listed && !finding.encoder().name().is_empty()),
            Finding::Fails { why, .. } => {
                assert!(listed && why.len() > 10 && !why.contains("[error]"), "{finding:?}");
                assert!(finding.complaint().expect("one").contains("settings.encoder: "), "{finding:?}");
            }
        }
    }
    let missing = try_all(&ffmpeg, vec!["/nowhere/renderD128".into()], &[Encoder::Vaapi]).await;
    assert!(why(&missing[0]).starts_with("/nowhere/renderD128: No such file"), "{missing:?}");
    let gpu_less = !Path::new("/dev/dri").exists() && !Path::new("/dev/nvidiactl").exists();
    let of = |encoder| findings.iter().find(|finding| finding.encoder() == encoder).expect("asked");
    if gpu_less && ffmpeg.h264_encoders.iter().any(|name| name == "h264_nvenc") {
        assert_eq!(why(of(Encoder::Nvenc)), "Cannot load libcuda.so.1");
    }
}

#[tokio::test]
async fn hardware_that_gives_whole_gops_works() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    // Stands for a card: the same picture by other means.
    let body = "exec ffmpeg -v error -f lavfi -i testsrc2=s=854x480:r=15 -c:v libx264 -preset ultrafast -g 5 \
                -frames:v 15 -f h264 pipe:1";
    let ffmpeg = script(folder.path(), body).await;
    let findings = try_all(&ffmpeg, vec!["/dev/null".into()], &[Encoder::Vaapi]).await;
    let Finding::Works(way) = &findings[0] else { panic!("{findings:?}") };
    assert_eq!(way.to_string(), "vaapi (/dev/null)");
}

#[tokio::test]
async fn a_chip_with_nothing_but_low_power_is_found() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let body = "case \"$*\" in *'-low_power 1'*) ;; *) echo '[h264_vaapi @ 0x1] [error] No usable encoding entrypoint found' >&2; exit 1;; esac\n\
                exec ffmpeg -v error -f lavfi -i testsrc2=s=854x480:r=15 -c:v libx264 -g 5 -frames:v 15 -f h264 pipe:1";
    let ffmpeg = script(folder.path(), body).await;
    let findings = try_all(&ffmpeg, vec!["/dev/null".into()], &[Encoder::Vaapi]).await;
    let Finding::Works(way) = &findings[0] else { panic!("{findings:?}") };
    assert!(way.low_power, "{way}");
}

#[tokio::test]
async fn an_encoder_that_forgets_its_parameter_sets_is_refused() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let body = "exec ffmpeg -v error -f lavfi -i testsrc2=s=854x480:r=15 -c:v libx264 -x264-params repeat-headers=0 \
                -flags +global_header -g 5 -frames:v 15 -f h264 pipe:1";
    let ffmpeg = script(folder.path(), body).await;
    let findings = try_all(&ffmpeg, Vec::new(), &[Encoder::Nvenc]).await;
    assert!(why(&findings[0]).starts_with("leaves out SPS and PPS"), "{findings:?}");
}

#[tokio::test]
async fn a_driver_that_hangs_is_killed_with_all_that_it_started() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let child = folder.path().join("child");
    let body = format!("trap '' TERM\nsleep 600 &\necho $! > {}\nwait; wait", child.display());
    let ffmpeg = script(folder.path(), &body).await;
    let before = Instant::now();
    let findings = try_all(&ffmpeg, Vec::new(), &[Encoder::Nvenc]).await;
    assert_eq!(why(&findings[0]), "no answer within 10 s");
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    end([child, folder.path().join("pid")]).await;
}

#[tokio::test]
async fn a_trial_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let child = folder.path().join("child");
    let body = format!("sleep 600 &\necho $! > {0}.new\nmv {0}.new {0}\nwait", child.display());
    let ffmpeg = script(folder.path(), &body).await;
    let started = async {
        while !child.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        early = try_all(&ffmpeg, Vec::new(), &[Encoder::Nvenc]) => panic!("{early:?}"),
        () = started => {}
    }
    end([child, folder.path().join("pid")]).await;
}

/// The processes whose ids are in the files.
async fn end(files: [PathBuf; 2]) {
    for file in files {
        let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(&file).expect("a pid").trim()));
        let gone = || fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "));
        let deadline = Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(Instant::now() < deadline, "{file:?} still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn all_trials_together_are_bounded_and_only_the_first_that_works_is_wanted() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let tried = folder.path().join("tried");
    let body = format!(
        "echo x >> {}\nexec ffmpeg -v error -f lavfi -i testsrc2=s=854x480:r=15 -c:v libx264 -g 5 -frames:v 15 -f h264 pipe:1",
        tried.display()
    );
    let ffmpeg = script(folder.path(), &body).await;
    let spawner = Spawner::start().expect("a thread");
    let nodes = vec!["/dev/null".into()];
    let bench = Bench { ffmpeg: &ffmpeg, spawner: &spawner, nodes, settings: &Settings::default() };
    let findings = bench.first_working(Encoder::HARDWARE).await;
    assert_eq!((findings.len(), findings[0].works()), (1, true), "{findings:?}");
    assert_eq!(fs::read_to_string(tried).expect("tried").lines().count(), 1);
}

fn trials(folder: &Path, capabilities: Capabilities) -> Trials {
    let workshop = Workshop {
        capabilities,
        spawner: Spawner::start().expect("a thread"),
        watch: SpoolWatch::new(),
        spool_root: folder.join("spool"),
        spool_share: u64::MAX.into(),
    };
    Trials::new(workshop.into())
}

/// The clock is the test's: it moves on while the driver hangs.
#[tokio::test]
async fn drivers_that_take_all_the_time_are_not_waited_for_at_each_camera() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let hangs = script(folder.path(), "exec sleep 600").await;
    // Each has ten seconds, and there are thirty.
    let h264_encoders = ["h264_nvenc", "h264_rkmpp", "h264_v4l2m2m"].map(str::to_owned).to_vec();
    let trials = trials(folder.path(), Capabilities { h264_encoders, ..hangs });
    let settings = Settings::default();
    tokio::time::pause();
    let took = async || {
        let began = tokio::time::Instant::now();
        let findings = trials.find(Wish::Auto, &settings).await;
        assert!(findings.iter().all(|finding| !finding.works()), "{findings:?}");
        began.elapsed().as_secs()
    };
    assert!((30..40).contains(&took().await));
    assert_eq!(took().await, 0, "the last one had its time, too");
    tokio::time::advance(Duration::from_secs(6 * 3600)).await;
    assert!((10..15).contains(&took().await), "it alone is tried again after some hours");
    assert_eq!(took().await, 0);
    trials.forget_failures();
    assert!((30..40).contains(&took().await), "somebody asked");
}

#[tokio::test]
async fn a_trial_is_made_once_for_all_cameras_and_a_failure_is_forgotten_when_asked() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (tried, broken) = (folder.path().join("tried"), folder.path().join("broken"));
    let body = format!(
        "echo x >> {}\n[ -e {} ] && exit 1\n\
         exec ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=15 -c:v libx264 -g 5 -frames:v 15 -f h264 pipe:1",
        tried.display(),
        broken.display()
    );
    fs::write(&broken, "").expect("a file");
    let trials = trials(folder.path(), script(folder.path(), &body).await);
    let count = || fs::read_to_string(&tried).unwrap_or_default().lines().count();
    let settings = Settings::default();
    let nvenc = Wish::Only(Encoder::Nvenc);
    assert!(trials.find(Wish::default(), &settings).await.is_empty());
    assert_eq!(count(), 0, "software costs no trial");
    let (one, other) = tokio::join!(trials.find(nvenc, &settings), trials.find(nvenc, &settings));
    assert_eq!((one[0].works(), other[0].works(), count()), (false, false, 1), "{one:?}");
    fs::remove_file(&broken).expect("a file");
    assert!(!trials.find(nvenc, &settings).await[0].works(), "it is known");
    trials.forget_failures();
    assert!(trials.find(nvenc, &settings).await[0].works());
    trials.forget_failures();
    assert!(trials.find(Wish::Auto, &settings).await[0].works());
    assert_eq!(count(), 2);
    let large = Settings { target_width: 1920, ..settings.clone() };
    trials.find(nvenc, &large).await;
    assert_eq!(count(), 3, "another size is another question");
    // Another camera's trial is nothing that one with a known answer waits for.
    let mut hanging = Box::pin(trials.again(Encoder::Nvenc, &settings));
    assert!(tokio::time::timeout(Duration::ZERO, &mut hanging).await.is_err());
    let known = tokio::time::timeout(Duration::ZERO, trials.find(nvenc, &settings)).await;
    assert!(known.expect("at once")[0].works());
    drop(hanging);
    fs::write(&broken, "").expect("a file");
    assert!(!trials.again(Encoder::Nvenc, &settings).await.works());
}

#[tokio::test]
async fn an_ffmpeg_before_4_4_is_refused_with_its_mend() {
    let _others = CHILDREN.read().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut path = folder.path().join("ffmpeg");
    let tell = "s/^ffmpeg version [^ ]*/ffmpeg version 4.3.7-0+deb11u1/";
    program::write(&path, &format!("ffmpeg \"$@\" | sed '{tell}'"));
    if let Some(old) = std::env::var_os("EDGE_AGENT_TEST_OLD_FFMPEG") {
        path = old.into();
    }
    let error = detect(Some(&path)).await.expect_err("too old");
    assert!(matches!(error, FfmpegError::Old { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("older than ffmpeg 4.4") && error.contains("set `ffmpeg:`"), "{error}");
}
