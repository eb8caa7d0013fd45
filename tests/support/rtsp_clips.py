"""The camera's media: short clips, encoded once. A part of rtsp_camera.py."""
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402,F401 (GstApp: appsink's methods)

SECOND = 1_000_000_000

PICTURES = {
    # Still but for a corner of noise.
    "still": "pattern=smpte",
    # All of it moves: dear to encode.
    "moving": "pattern=zone-plate kx2=8 ky2=4 kt=6",
}


class Frame:
    """`due` is when it is sent and `pts` when it is shown, in ns from its clip's start."""

    def __init__(self, data, pts, due, key):
        self.data, self.pts, self.due, self.key = data, pts, due, key


class Clip:
    def __init__(self, frames, caps, duration):
        self.frames, self.caps, self.duration = frames, caps, duration


def encode(pipeline):
    """Runs a pipeline to its end; returns [(bytes, pts, is_key)] and the caps."""
    pipe = Gst.parse_launch(pipeline + " ! appsink name=out max-buffers=0 sync=false")
    sink = pipe.get_by_name("out")
    pipe.set_state(Gst.State.PLAYING)
    units, caps = [], None
    while not sink.get_property("eos"):
        sample = sink.try_pull_sample(10 * SECOND)
        if sample is None:
            if sink.get_property("eos"):
                break
            message = pipe.get_bus().pop_filtered(Gst.MessageType.ERROR)
            raise RuntimeError(f"encoding: {message.parse_error() if message else 'no output for 10 s'}: {pipeline}")
        buffer, caps = sample.get_buffer(), sample.get_caps()
        key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        units.append((buffer.extract_dup(0, buffer.get_size()), buffer.pts, key))
    pipe.set_state(Gst.State.NULL)
    return units, caps


def without(data, types):
    """H.264 in avcC: NAL units of other types only."""
    if not types:
        return data
    kept, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4] & 31 not in types:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def encode_gop(profile, frames):
    width, height = profile.size
    encoder = {
        "h264": f"x264enc speed-preset=superfast key-int-max={frames + 1} bframes={profile.b_frames} b-adapt=false rc-lookahead=0 threads=2"
        f" sliced-threads=false bitrate={profile.bitrate} option-string=scenecut=0"
        " ! video/x-h264,profile=main ! h264parse ! video/x-h264,stream-format=avc,alignment=au",
        "h265": f"x265enc speed-preset=ultrafast key-int-max={frames + 1} bitrate={profile.bitrate}"
        " option-string=bframes=0:scenecut=0:open-gop=0:log-level=none:pools=2"
        " ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
        "mjpeg": "jpegenc quality=75",
    }[profile.codec]
    rate = f"{profile.fps.numerator}/{profile.fps.denominator}"
    units, caps = encode(
        f"videotestsrc {PICTURES[profile.picture]} num-buffers={frames}"
        f" ! video/x-raw,format=I420,width={width},height={height},framerate={rate} ! {encoder}"
    )
    units = [(without(data, profile.left_out), pts, key) for data, pts, key in units]
    first = min(pts for _, pts, _ in units)  # x264enc does not start at 0
    step = SECOND // profile.fps
    made = [Frame(data, pts - first, i * step, key) for i, (data, pts, key) in enumerate(units)]
    return Clip(made, caps, frames * step)


def encode_audio(kind):
    if kind == "aac":
        rate, samples = 16000, 1024
        encoder = "avenc_aac bitrate=64000 ! aacparse ! audio/mpeg,stream-format=raw"
    else:
        rate, samples = 8000, 160
        encoder = {"pcma": "alawenc", "pcmu": "mulawenc"}[kind]
    units, caps = encode(
        f"audiotestsrc wave=sine freq=440 volume=0.3 samplesperbuffer={samples} num-buffers={2 * rate // samples}"
        f" ! audio/x-raw,rate={rate},channels=1 ! audioconvert ! {encoder}"
    )
    step = SECOND * samples // rate
    return Clip([Frame(unit[0], i * step, i * step, True) for i, unit in enumerate(units)], caps, step * len(units))


class Profile:
    """What the picture is like; /switch replaces it whole."""

    def __init__(self, codec, size, fps, gops, bitrate, b_frames=0, left_out=(), picture="still"):
        self.codec, self.size, self.fps, self.gops, self.bitrate = codec, size, fps, gops, bitrate
        self.b_frames, self.left_out, self.picture = b_frames, left_out, picture
        by_length = {length: encode_gop(self, length) for length in set(gops)}
        self.clips = [by_length[length] for length in gops]
