#!/usr/bin/python3
"""An RTSP camera that films a clock: each frame has the time at which it was made, readable for programs.

The top of the picture is a grid of black and white blocks, 20 in a row, 2 rows: 32 bits of milliseconds since 1970 (the
low ones), highest bit first, and 8 bits of check (CRC-8, polynomial 7, begun with 255). They are large, so that they outlive any encoder.
Below is a texture of which a bar changes in each frame: some bitrate.

The clock is read before the frame is encoded, as light falls on a lens before that. The encoder runs all the time, with no delay of
its own (zerolatency), so a client joins in the middle of a GOP as with any camera.

`/cam1` has no sound; `/sound` has the same picture and AAC beside it, as most cameras send it.

It prints one line, `READY rtsp-port=N`, and ends when its standard input does; then it prints what its own encoder took,
`ENCODED frames=N p50-ms=N p95-ms=N`. Needs what rtsp_camera.py needs.
"""
import argparse
import os
import random
import sys
import threading
import time

import gi

for module in ("Gst", "GstApp", "GstRtsp", "GstRtspServer"):
    gi.require_version(module, "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: E402,F401 (GstApp: appsrc's and appsink's methods)

from rtsp_clips import encode_audio  # noqa: E402

SECOND = 1_000_000_000
COLUMNS, ROWS = 20, 2
# Of the picture's height, for each row of blocks.
BLOCK_HEIGHT = 1 / 9
BLACK, WHITE, GREY = 16, 235, 128
KEPT_TIMES = 2000
VIDEO = "appsrc name=video is-live=true format=time max-bytes=0 ! rtph264pay config-interval=-1 name=pay0 pt=96"
SOUND = "appsrc name=audio is-live=true format=time max-bytes=0 ! rtpmp4gpay name=pay1 pt=97"
MOUNTS = {"/cam1": f"( {VIDEO} )", "/sound": f"( {VIDEO} {SOUND} )"}


# --- the picture -------------------------------------------------------------------------------------------


def crc8(data):
    crc = 255
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 255 if crc & 128 else crc << 1
    return crc


def bits(millis):
    data = (millis % 2**32).to_bytes(4, "big")
    data += bytes([crc8(data)])
    return [byte >> bit & 1 for byte in data for bit in range(7, -1, -1)]


class Picture:
    """Frames in I420."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.edges = [column * width // COLUMNS for column in range(COLUMNS + 1)]
        self.block_rows = int(height * BLOCK_HEIGHT)
        dice = random.Random(1)
        tile = 8
        lines = []
        for _ in range(height // tile + 1):
            line = b"".join(bytes([dice.randint(70, 180)]) * tile for _ in range(width // tile + 1))[:width]
            lines.extend([line] * tile)
        self.texture = b"".join(lines[:height])
        self.bar = height // 8 // tile * tile
        self.bar_at = height * 5 // 8
        self.chroma = bytes([GREY]) * (2 * ((width + 1) // 2) * ((height + 1) // 2))
        self.dice = dice

    def row(self, row_bits):
        line = b"".join(
            bytes([WHITE if bit else BLACK]) * (self.edges[column + 1] - self.edges[column])
            for column, bit in enumerate(row_bits)
        )
        return line * self.block_rows

    def frame(self, millis):
        code = bits(millis)
        clock = b"".join(self.row(code[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(ROWS))
        # Another part of the texture each time: what moves in the picture.
        begins = self.dice.randrange(0, (self.height - self.bar) // 8) * 8 * self.width
        bar = self.texture[begins : begins + self.bar * self.width]
        until, after = self.bar_at * self.width, (self.bar_at + self.bar) * self.width
        return b"".join([clock, self.texture[len(clock) : until], bar, self.texture[after:], self.chroma])


# --- the camera --------------------------------------------------------------------------------------------


class Camera:
    def __init__(self, width, height, fps, bitrate, gop):
        self.picture, self.fps = Picture(width, height), fps
        self.lock, self.clients, self.caps = threading.Lock(), [], None
        self.made, self.took = {}, []
        self.frames = 0
        pipe = Gst.parse_launch(
            f"appsrc name=lens is-live=true format=time max-bytes=0"
            f" caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"
            f" ! x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max={gop} bitrate={bitrate}"
            f" vbv-buf-capacity=300 option-string=scenecut=0"
            f" ! video/x-h264,profile=constrained-baseline ! h264parse ! video/x-h264,stream-format=avc,alignment=au"
            f" ! appsink name=out emit-signals=true sync=false max-buffers=0"
        )
        self.lens, out = pipe.get_by_name("lens"), pipe.get_by_name("out")
        out.connect("new-sample", self.encoded)
        bus = pipe.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _bus, message: fail(message.parse_error()))
        pipe.set_state(Gst.State.PLAYING)
        self.pipe = pipe
        self.audio = encode_audio("aac")
        for work in (self.film, self.hear):
            threading.Thread(target=work, daemon=True).start()

    def film(self):
        start = time.monotonic_ns()
        number = 0
        while True:
            due = start + number * SECOND // self.fps
            wait = due - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / SECOND)
            # A machine that stood still has no frames of that time.
            number = max(number, (time.monotonic_ns() - start) * self.fps // SECOND)
            pts = number * SECOND // self.fps
            made = time.monotonic_ns()
            buffer = Gst.Buffer.new_wrapped(self.picture.frame(time.time_ns() // 1_000_000))
            buffer.pts, buffer.duration = pts, SECOND // self.fps
            with self.lock:
                self.made[pts] = made
            self.lens.emit("push-buffer", buffer)
            number += 1

    def hear(self):
        """A frame of sound is there when its last sample is."""
        frames, start = self.audio.frames, time.monotonic_ns()
        step = self.audio.duration // len(frames)
        number = 0
        while True:
            wait = start + (number + 1) * step - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / SECOND)
            with self.lock:
                for client in self.clients:
                    self.send_sound(client, frames[number % len(frames)].data, start + number * step, step)
            number += 1

    def send_sound(self, client, data, began, step):
        if client["sound"] is None or began < client["start"]:
            return
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts, buffer.duration = began - client["start"], step
        client["sound"].emit("push-buffer", buffer)

    def encoded(self, sink):
        sample = sink.emit("pull-sample")
        buffer, caps = sample.get_buffer(), sample.get_caps()
        data = buffer.extract_dup(0, buffer.get_size())
        now = time.monotonic_ns()
        with self.lock:
            # x264enc has an hour on top of them; the oldest is the one that came.
            made = self.made.pop(min(self.made))
            self.took = [*self.took[-KEPT_TIMES:], now - made]
            self.frames += 1
            self.caps = caps
            for client in self.clients:
                self.send(client, data, made, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT))
        return Gst.FlowReturn.OK

    def send(self, client, data, made, is_key):
        if client["caps"] is None:
            client["caps"] = self.caps
            client["source"].set_property("caps", self.caps)
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = max(0, made - client["start"])
        buffer.duration = SECOND // self.fps
        if not is_key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        # One that is not running yet loses the frame.
        client["source"].emit("push-buffer", buffer)

    def configure(self, _factory, media):
        media.connect("new-state", stop_syncing)
        source, sound = (media.get_element().get_by_name(name) for name in ("video", "audio"))
        client = {"source": source, "sound": sound, "start": time.monotonic_ns(), "caps": None}
        if sound is not None:
            sound.set_property("caps", self.audio.caps)

        def gone(_media):
            with self.lock:
                self.clients = [other for other in self.clients if other is not client]

        media.connect("unprepared", gone)
        with self.lock:
            self.clients.append(client)

    def report(self):
        with self.lock:
            took = sorted(self.took) or [0]
            at = lambda part: took[min(len(took) - 1, int(len(took) * part))] / 1e6  # noqa: E731
            return f"ENCODED frames={self.frames} p50-ms={at(0.5):.1f} p95-ms={at(0.95):.1f}"


def fail(error):
    print(f"the clock camera's encoder: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def stop_syncing(media, _state):
    """Frames are sent when they are there."""
    top = media.get_element()
    while top.get_parent() is not None:
        top = top.get_parent()
    elements = top.iterate_recurse()
    while True:
        result, element = elements.next()
        if result != Gst.IteratorResult.OK:
            return
        if element.find_property("sync") is not None:
            element.set_property("sync", False)


def parse_size(text):
    width, height = (int(number) for number in text.split("x"))
    # GStreamer pads other lines.
    if width % 8 or height % 2:
        raise ValueError(text)
    return width, height


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--size", type=parse_size, default=(960, 540), help="a width of eights, an even height")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--gop", type=int, default=30, help="frames")
    parser.add_argument("--bitrate", type=int, default=1500, help="kbit/s")
    parser.add_argument("--still", type=int, help="one raw frame of this time to standard output, and nothing else")
    return parser.parse_args()


def main():
    args = arguments()
    if args.still is not None:
        sys.stdout.buffer.write(Picture(*args.size).frame(args.still))
        return
    Gst.init(None)
    camera = Camera(*args.size, args.fps, args.bitrate, args.gop)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    for path, launch in MOUNTS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        factory.set_latency(0)
        factory.connect("media-configure", camera.configure)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit(f"can't listen on port {args.port}")
    loop = GLib.MainLoop()
    GLib.timeout_add_seconds(5, lambda: server.get_session_pool().cleanup() or True)

    def end_with_input():
        sys.stdin.buffer.read()
        loop.quit()

    threading.Thread(target=end_with_input, daemon=True).start()
    print(f"READY rtsp-port={server.get_bound_port()}", flush=True)
    loop.run()
    print(camera.report(), flush=True)


if __name__ == "__main__":
    main()
