use super::*;

fn way(encoder: Encoder) -> Way {
    let node = matches!(encoder, Encoder::Vaapi | Encoder::Qsv).then(|| "/dev/dri/renderD128".into());
    Way { encoder, node, low_power: false }
}

const CODING: Coding<'_> =
    Coding { gop: 30, most_kbps: Some(1500), preset: "ultrafast", width: 854, fps: 15 };

#[test]
fn the_golden_arguments_of_each_encoder() {
    let rate = "-g 30 -bf 0 -b:v 1350k -maxrate 1500k -bufsize 1500k";
    for (encoder, globals, filter, codec) in [
        (
            Encoder::Vaapi,
            "-init_hw_device vaapi=hw:/dev/dri/renderD128 -filter_hw_device hw",
            ",format=nv12,hwupload",
            "-c:v h264_vaapi",
        ),
        (
            Encoder::Qsv,
            "-init_hw_device vaapi=card:/dev/dri/renderD128 -init_hw_device qsv=hw@card -filter_hw_device hw",
            ",format=nv12,hwupload=extra_hw_frames=16",
            "-c:v h264_qsv -preset veryfast -async_depth 1",
        ),
        (Encoder::Nvenc, "", "", "-c:v h264_nvenc -preset p1 -tune ll -pix_fmt yuv420p"),
        (Encoder::V4l2m2m, "", "", "-c:v h264_v4l2m2m -pix_fmt yuv420p"),
        (Encoder::Rkmpp, "", "", "-c:v h264_rkmpp -pix_fmt nv12"),
    ] {
        let way = way(encoder);
        assert_eq!(global_args(&way).join(" "), globals);
        assert_eq!(filter_suffix(&way), filter);
        assert_eq!(codec_args(&way, &CODING).join(" "), format!("{codec} {rate}"));
    }
}

#[test]
fn software_needs_no_rate_and_hardware_gets_one() {
    let x264 = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -keyint_min 30 -sc_threshold 0";
    let free = Coding { most_kbps: None, ..CODING };
    let of = |way: &Way, coding| codec_args(way, coding).join(" ");
    assert_eq!(of(&Way::software(), &free), x264);
    assert_eq!(of(&Way::software(), &CODING), format!("{x264} -maxrate 1500k -bufsize 1500k"));
    assert!(of(&way(Encoder::Nvenc), &free).ends_with("-b:v 553k -maxrate 615k -bufsize 615k"));
    let low = Way { low_power: true, ..way(Encoder::Vaapi) };
    assert!(of(&low, &CODING).starts_with("-c:v h264_vaapi -low_power 1 -g 30"));
    assert_eq!((usual_kbps(1280, 25), usual_kbps(16, 1)), (2304, 100));
}

#[test]
fn each_card_is_tried_in_both_modes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["renderD129", "card0", "renderD128", "by-path"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let nodes = render_nodes(folder.path());
    let names: Vec<_> = nodes.iter().map(|node| node.file_name().unwrap().to_string_lossy()).collect();
    assert_eq!(names, ["renderD128", "renderD129"]);
    let ways: Vec<_> = ways(Encoder::Vaapi, &nodes).unwrap();
    let seen: Vec<_> = ways.iter().map(|way| (way.node.clone().unwrap(), way.low_power)).collect();
    let [a, b] = &nodes[..] else { panic!("two") };
    assert_eq!(seen, [(a.clone(), false), (a.clone(), true), (b.clone(), false), (b.clone(), true)]);
    assert_eq!(ways[1].to_string(), format!("vaapi ({}, low power)", a.display()));
    assert!(super::ways(Encoder::Qsv, &render_nodes(Path::new("/nowhere"))).unwrap_err().contains("renderD"));
}

#[test]
fn what_came_out_is_looked_at() {
    let gop = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 9, 0, 0, 1, 0x65, 9, 0, 0, 1, 0x41, 9];
    let bare = [0, 0, 0, 1, 0x65, 9, 0, 0, 1, 0x41, 9];
    assert_eq!(judge(&gop.repeat(3)), Ok(()));
    assert!(judge(&[]).unwrap_err().starts_with("gives 0 key frames"));
    assert!(judge(&gop.repeat(2)).unwrap_err().starts_with("gives 2 key frames"));
    let headless = [&gop[..], &bare, &bare].concat();
    assert!(judge(&headless).unwrap_err().starts_with("leaves out SPS"));
}
