//! What is told of streams, against what ffmpeg reads in the same bytes.

use edge_agent::domain::codecs::{Streams, of_init, of_transport_stream};
use edge_agent::domain::segment::SegmentType;

use super::*;

/// The system's or another one, with its arguments.
async fn ffmpeg(args: &[&str]) -> String {
    let path = other_ffmpeg().unwrap_or_else(|| "ffmpeg".into());
    let mut ffmpeg = tokio::process::Command::new(path);
    let output = ffmpeg.args(["-hide_banner", "-y"]).args(args).output().await.expect("install ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    said + &String::from_utf8_lossy(&output.stdout)
}

/// Half a second of a picture with a sound in a transport stream, and its init object and a segment in fMP4.
async fn make(folder: &Path, size: &str, looks: &[&str]) -> (PathBuf, PathBuf) {
    let (picture, stream) = (format!("testsrc2=size={size}:rate=10:duration=0.5"), folder.join("0.ts"));
    let path = stream.display().to_string();
    let sources = ["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", "sine=duration=0.5"];
    ffmpeg(&[&sources, looks, &["-c:a", "aac", &path]].concat()).await;
    let (init, playlist) = (folder.join("init.mp4"), folder.join("index.m3u8").display().to_string());
    let tag = if looks.contains(&"libx265") { "hvc1" } else { "avc1" };
    let hls = [
        "-c",
        "copy",
        "-bsf:a",
        "aac_adtstoasc",
        "-tag:v",
        tag,
        "-f",
        "hls",
        "-hls_segment_type",
        "fmp4",
        &playlist,
    ];
    ffmpeg(&[&["-v", "error", "-i", &path], &hls[..]].concat()).await;
    (stream, init)
}

/// The bits of the first sequence parameter set in a file, from one field through another one.
async fn bits(file: &str, from: &str, through: &str) -> String {
    let said = ffmpeg(&["-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]).await;
    let lines = said.lines().skip_while(|line| !line.ends_with("Sequence Parameter Set")).skip(1);
    let fields = lines.filter_map(|line| {
        let (name_and_bits, _) = line.split_once("] ")?.1.split_once(" = ")?;
        let mut words = name_and_bits.split_whitespace().skip(1);
        Some((words.next()?, words.last()?))
    });
    let mut all = String::new();
    for (name, bits) in fields.skip_while(|(name, _)| *name != from) {
        all.push_str(bits);
        if name == through {
            return all;
        }
    }
    panic!("no {through} in {file}: {said}");
}

fn number(bits: &str) -> u32 {
    u32::from_str_radix(bits, 2).expect("bits")
}

/// As RFC 6381 and ISO/IEC 14496-15 name what ffmpeg reads in the stream.
async fn named_by_ffmpeg(file: &str, is_h265: bool) -> String {
    if !is_h265 {
        return format!("avc1.{:06x}", number(&bits(file, "profile_idc", "level_idc").await));
    }
    let all = bits(file, "general_profile_space", "general_level_idc").await;
    assert_eq!(all.len(), 96, "{all}");
    let (profile, tier) = (number(&all[3..8]), if &all[2..3] == "0" { 'L' } else { 'H' });
    let compatible: String = all[8..40].chars().rev().collect();
    let mut constraints: Vec<_> =
        (40..88).step_by(8).map(|at| format!(".{:X}", number(&all[at..at + 8]))).collect();
    while constraints.last().is_some_and(|last| last == ".0") {
        constraints.pop();
    }
    let level = number(&all[88..]);
    format!("hvc1.{profile}.{:X}.{tier}{level}{}", number(&compatible), constraints.concat())
}

#[tokio::test]
async fn streams_are_what_ffmpeg_reads_in_them() {
    const YUV: &[&str] = &["-pix_fmt", "yuv420p", "-c:v", "libx264"];
    let folder = tempfile::tempdir().expect("a folder");
    let encoders = ffmpeg(&["-encoders"]).await;
    for (size, looks, more, expected) in [
        ("320x240", YUV, &["-profile:v", "baseline"][..], "avc1.42c0"),
        ("854x480", YUV, &["-profile:v", "main", "-level", "4.1"], "avc1.4d4029"),
        ("1920x1080", YUV, &["-profile:v", "high"], "avc1.6400"),
        // Cameras that send fields, and more than what is usual in a parameter set.
        ("720x576", YUV, &["-flags", "+ildct+ilme", "-x264-params", "tff=1"], "avc1.6400"),
        (
            "1918x1078",
            YUV,
            &["-x264-params", "cqm=jvt:aud=1:nal-hrd=vbr", "-b:v", "1M", "-maxrate", "1M", "-bufsize", "1M"],
            "avc1.6400",
        ),
        ("322x182", &["-pix_fmt", "yuv422p", "-c:v", "libx264"], &[], "avc1.7a00"),
        ("321x181", &["-pix_fmt", "yuv444p", "-c:v", "libx264"], &["-x264-params", "cqm=jvt"], "avc1.f400"),
        ("321x181", &["-pix_fmt", "gray", "-c:v", "libx264"], &[], "avc1.6400"),
        ("854x480", &["-pix_fmt", "yuv420p", "-c:v", "libx265"], &[], "hvc1.1.6.L90.90"),
        (
            "1918x1078",
            &["-pix_fmt", "yuv420p10le", "-c:v", "libx265"],
            &["-x265-params", "high-tier=1:level-idc=4.1"],
            "hvc1.2.4.H123.90",
        ),
    ] {
        let is_h265 = looks.contains(&"libx265");
        if is_h265 && !encoders.contains("libx265") {
            eprintln!("this ffmpeg can't encode H.265: {size} is not looked at");
            continue;
        }
        let preset = &["-preset", "veryfast"][..];
        let (stream, init) = make(folder.path(), size, &[looks, preset, more].concat()).await;
        let stream_path = stream.display().to_string();
        let of_stream = of_transport_stream(&fs::read(stream).expect("a segment")).expect("streams");
        let name = named_by_ffmpeg(&stream_path, is_h265).await;
        assert!(name.starts_with(expected), "{size}: {name}");
        let seen = streams(&stream_path, true).await;
        let side = |name: &str| seen[1][name].as_u64().and_then(|side| side.try_into().ok()).expect("a side");
        let codecs = format!("{name},mp4a.40.2");
        assert_eq!(of_stream, Streams { codecs, width: side("width"), height: side("height") }, "{size}");
        let of_init = of_init(&fs::read(init).expect("an init object"));
        assert_eq!(of_init.as_ref(), Some(&of_stream), "{size}: the same streams");
    }
}

#[tokio::test]
async fn a_run_is_told_the_same_of_in_both_types_of_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let mut told = Vec::new();
    for (segment_type, audio) in
        [(SegmentType::MpegTs, true), (SegmentType::Fmp4, true), (SegmentType::MpegTs, false)]
    {
        let settings =
            Settings { segment_type, audio, segment_duration: Duration::from_secs(1), ..Settings::default() };
        let spool = folder.path().join(format!("{}", told.len()));
        let engine = engine_of(ffmpeg.clone(), "test://", &spool, u64::MAX, settings);
        let segment = segment(&mut start(&engine).await).await;
        let body = fs::read(path(&segment)).expect("a segment");
        let streams = match &segment.header {
            Some(header) => of_init(header.bytes()),
            None => of_transport_stream(&body),
        };
        told.push(streams.expect("streams"));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!((told[0].width, told[0].height), (854, 480));
    assert_eq!(told[0].codecs, format!("{},mp4a.40.2", told[2].codecs));
}
