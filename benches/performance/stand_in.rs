//! ffmpeg's stand-in: plays a recorded segment over and over in real time, with ffmpeg's files and renames.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;

/// The name that makes this binary the stand-in.
pub const NAME: &str = "ffmpeg";
/// A file beside the stand-in: one line per segment, its index and the time of its rename.
pub const JOURNAL: &str = "journal";

pub fn main(args: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(answer) = capability(&args.join(" ")) {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(job) = Job::parse(args) else { return Ok(ExitCode::FAILURE) };
    job.play()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers to what the agent asks of ffmpeg before it trusts it.
fn capability(question: &str) -> Option<&'static str> {
    const ANSWERS: &[(&str, &str)] = &[
        (" -version", "ffmpeg version stand-in"),
        ("demuxer=rtsp", "  -timeout <int64> .D....... set timeout"),
        ("muxer=hls", "  temp_file"),
        (" -encoders", " V....D libx264 libx264 H.264"),
    ];
    ANSWERS.iter().find(|(asked, _)| question.contains(asked)).map(|(_, answer)| *answer)
}

struct Job {
    clip: PathBuf,
    segment_pattern: String,
    playlist: PathBuf,
    list_size: usize,
    duration: Duration,
    journal: PathBuf,
}

impl Job {
    fn parse(args: &[String]) -> Option<Self> {
        let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
        let fps = after("-vf")?.strip_prefix("fps=")?.split(',').next()?.parse::<f64>().ok()?;
        let gop = after("-g")?.parse::<f64>().ok()?;
        Some(Self {
            clip: after("-i")?.strip_prefix("file:")?.into(),
            segment_pattern: after("-hls_segment_filename")?.replace("%%", "%"),
            playlist: args.last()?.into(),
            list_size: after("-hls_list_size")?.parse().ok()?,
            duration: Duration::from_secs_f64(gop / fps),
            journal: Path::new(args.first()?).with_file_name(JOURNAL),
        })
    }

    fn play(&self) -> anyhow::Result<()> {
        let clip = fs::read(&self.clip).context("the recorded segment")?;
        let mut journal = OpenOptions::new().create(true).append(true).open(&self.journal)?;
        let quit = quit_asked();
        let mut due = Instant::now();
        for index in 0.. {
            let segment = PathBuf::from(self.segment_pattern.replace("%06d", &format!("{index:06}")));
            // As ffmpeg, which writes while it encodes: when the segment ends it is on disk but for its name.
            let unfinished = with_tmp(&segment);
            fs::write(&unfinished, &clip)?;
            due += self.duration;
            match quit.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let renamed = SystemTime::now();
            fs::rename(&unfinished, &segment)?;
            self.write_playlist(index)?;
            let nanos = renamed.duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
            journal.write_all(format!("{index} {nanos}\n").as_bytes())?;
        }
        Ok(())
    }

    fn write_playlist(&self, newest: usize) -> anyhow::Result<()> {
        let first = (newest + 1).saturating_sub(self.list_size);
        let target = self.duration.as_secs_f64().ceil();
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        );
        for index in first..=newest {
            let seconds = self.duration.as_secs_f64();
            text += &format!(
                "#EXTINF:{seconds:.6},\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0000\nseg_{index:06}.ts\n"
            );
        }
        let unfinished = with_tmp(&self.playlist);
        File::create(&unfinished)?.write_all(text.as_bytes())?;
        fs::rename(&unfinished, &self.playlist)?;
        Ok(())
    }
}

fn with_tmp(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Hears a `q` on standard input, or its end.
fn quit_asked() -> mpsc::Receiver<()> {
    let (asked, quit) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let _ = asked.send(());
    });
    quit
}
