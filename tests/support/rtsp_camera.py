#!/usr/bin/python3
"""An RTSP "IP camera" for tests whose faults are exact and repeatable.

At start it encodes one clip per GOP length (a clip is one closed GOP) and one of audio. Afterwards nothing is
encoded: a feeder thread pushes the clips' frames into GStreamer's RTSP server at wall-clock speed, so that one
process plays many cameras at little cost.

It prints one line, `READY rtsp-port=N control-port=M`, and ends when its standard input does.

Control: HTTP GET on the control port, answered by a line of JSON.
  /status                             clients, frames and keyframes sent, and how often the machine held it up
  /freeze?what=all|video|audio        no more media; TCP and RTSP stay up
  /thaw                               media again; the frozen frames are lost, RTP time has gone on
  /jump?seconds=60[&what=video]       shifts all later RTP timestamps; negative is backwards, to
                                      the stream's start at most
  /switch?size=640x360&fps=15&gop=30  another picture size, rate or GOP from the next frame on
  /lose?frames=10[&what=audio]        drops the next frames, of the picture if nothing is said
  /kick                               closes every client's connection
  /exit                               the process dies at once

Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad,ugly} and
gstreamer1.0-libav (packaging/setup.sh installs them).
"""
import argparse
import heapq
import json
import os
import sys
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import gi

for module in ("Gst", "GstApp", "GstRtsp", "GstRtspServer"):
    gi.require_version(module, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

from rtsp_clips import SECOND, Profile, encode_audio  # noqa: E402


# --- the camera --------------------------------------------------------------------------------------------


# ffmpeg hangs up after 2.5 s of silence.
PATIENCE, CAUGHT_UP = 23 * SECOND // 10, SECOND // 10
# What they send as sound is not what they say.
NO_CODECS = ["alien", "siren"]


class Stream:
    """One track of one client's (or all clients') media: which frame is next, and when."""

    def __init__(self, camera, source, kind, start):
        self.camera, self.source, self.kind, self.start = camera, source, kind, start
        self.profile = camera.profile
        # A client that comes after a jump starts at 0 like any other.
        self.shifted = camera.shift[kind]
        self.clip_index = self.frame_index = 0
        self.clip_start = 0  # ns of stream time
        self.due = start
        # A new session counts from 0, whatever jumped before.
        self.shifted = camera.shift[kind]
        self.caps = None
        self.alive = True
        if kind == "video":
            self.join_in_the_middle()

    def join_in_the_middle(self):
        """A real camera does not begin a GOP for a new client."""
        gops = self.profile.gops
        frame = (time.monotonic_ns() - self.camera.epoch) * self.profile.fps // SECOND % sum(gops)
        while frame >= gops[self.clip_index]:
            frame -= gops[self.clip_index]
            self.clip_index += 1
        self.frame_index = frame
        self.clip_start = -frame * (SECOND // self.profile.fps)

    def clip(self):
        if self.kind == "audio":
            return self.camera.audio
        if self.camera.profile is not self.profile:
            self.clip_start += self.frame_index * (SECOND // self.profile.fps)
            self.profile, self.clip_index, self.frame_index = self.camera.profile, 0, 0
        return self.profile.clips[self.clip_index]

    def step(self):
        """Sends a frame, or not if a fault says so, and moves on."""
        clip = self.clip()
        frame = clip.frames[self.frame_index]
        if not self.camera.withholds(self.kind):
            self.push(clip, frame)
        self.frame_index += 1
        if self.frame_index == len(clip.frames):
            self.clip_start += clip.duration
            self.frame_index = 0
            if self.kind == "video":
                self.clip_index = (self.clip_index + 1) % len(self.profile.clips)
        upcoming = self.clip().frames[self.frame_index]
        self.due = self.start + self.clip_start + upcoming.due

    def push(self, clip, frame):
        if self.caps is not clip.caps:
            self.caps = clip.caps
            self.source.set_property("caps", clip.caps)
        buffer = Gst.Buffer.new_wrapped(frame.data)
        buffer.pts = max(0, self.clip_start + frame.pts + self.camera.shift[self.kind] - self.shifted)
        buffer.duration = clip.duration // len(clip.frames)
        if not frame.key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        if self.source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
            return  # Not running yet, or being flushed: the frame is lost.
        self.camera.sent[self.kind] += 1
        self.camera.keyframes += frame.key and self.kind == "video"


class Camera:
    def __init__(self, profile, audio, sound=None):
        self.profile, self.audio, self.sound = profile, audio, sound
        self.epoch = time.monotonic_ns()
        self.frozen = {"video": False, "audio": False}
        self.shift = {"video": 0, "audio": 0}
        self.sent = {"video": 0, "audio": 0}
        self.frames_to_lose = {"video": 0, "audio": 0}
        self.keyframes = 0
        self.held_up, self.is_late = 0, False
        self.queue, self.changed, self.ticket = [], threading.Condition(), 0
        threading.Thread(target=self.feed, daemon=True).start()

    def withholds(self, kind):
        if self.frames_to_lose[kind] > 0:
            self.frames_to_lose[kind] -= 1
            return True
        return self.frozen[kind]

    def launch_line(self):
        # What is left out of the stream is not put back.
        interval = 0 if self.profile.left_out else -1
        pay = {
            "h264": f"rtph264pay config-interval={interval}",
            "h265": "rtph265pay config-interval=-1",
            "mjpeg": "rtpjpegpay",
        }
        line = f"appsrc name=video is-live=true format=time max-bytes=0 ! {pay[self.profile.codec]} name=pay0 pt=96"
        if self.audio:
            kind = self.audio.caps.get_structure(0).get_name()
            pay = {
                "audio/mpeg": "rtpmp4gpay pt=97",
                # What is lost is no reason to send the rest earlier.
                "audio/x-alaw": "rtppcmapay pt=8 perfect-rtptime=false",
                "audio/x-mulaw": "rtppcmupay pt=0 perfect-rtptime=false",
            }
            # One is no audio by its description, the other is audio of a codec that ffmpeg has no name for.
            if self.sound == "alien":
                pay[kind] = "rtpgstpay pt=98"
            if self.sound == "siren":
                pay[kind] = "rtpsirenpay pt=98 perfect-rtptime=false"
            line += f" appsrc name=audio is-live=true format=time max-bytes=0 ! {pay[kind]} name=pay1"
        return f"( {line} )"

    def configure(self, _factory, media):
        media.connect("new-state", stop_syncing)
        start = time.monotonic_ns()
        element = media.get_element()
        kinds = ("video", "audio") if self.audio else ("video",)
        streams = [Stream(self, element.get_by_name_recurse_up(kind), kind, start) for kind in kinds]

        def gone(_media):
            for stream in streams:
                stream.alive = False

        media.connect("unprepared", gone)
        with self.changed:
            for stream in streams:
                self.enqueue(stream)
            self.changed.notify()

    def enqueue(self, stream):
        self.ticket += 1  # orders streams that are due at once
        heapq.heappush(self.queue, (stream.due, self.ticket, stream))

    def note_lateness(self, late):
        """Tells tests how often a busy machine held it up for longer than clients have patience."""
        is_late = late > PATIENCE
        self.held_up += is_late and not self.is_late
        # Until it has caught up it is the same time.
        self.is_late = is_late or (self.is_late and late > CAUGHT_UP)

    def feed(self):
        while True:
            with self.changed:
                while not self.queue:
                    self.changed.wait()
                wait = self.queue[0][0] - time.monotonic_ns()
                if wait > 0:
                    self.changed.wait(wait / SECOND)
                    continue
                stream = heapq.heappop(self.queue)[2]
            self.note_lateness(time.monotonic_ns() - stream.due)
            if stream.alive:
                stream.step()
            if stream.alive:
                with self.changed:
                    self.enqueue(stream)


def stop_syncing(media, _state):
    """The feeder paces; a sink that waits too would hold back frames that /jump moved ahead."""
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


# --- control -----------------------------------------------------------------------------------------------


class Control:
    def __init__(self, camera, server):
        self.camera, self.server = camera, server

    def clients(self):
        return self.server.client_filter(None, lambda _server, _client: GstRtspServer.RTSPFilterResult.REF) or []

    def do(self, action, query):
        camera = self.camera
        kinds = {"all": ["video", "audio"], "video": ["video"], "audio": ["audio"]}[query.get("what", "all")]
        if action == "status":
            return {
                "sent": camera.sent,
                "keyframes": camera.keyframes,
                "clients": len(self.clients()),
                "held_up": camera.held_up,
            }
        if action == "freeze":
            camera.frozen.update({kind: True for kind in kinds})
        elif action == "thaw":
            camera.frozen.update(video=False, audio=False)
        elif action == "jump":
            for kind in kinds:
                camera.shift[kind] += int(float(query["seconds"]) * SECOND)
        elif action == "switch":
            old = camera.profile
            camera.profile = Profile(
                old.codec,
                parse_size(query["size"]) if "size" in query else old.size,
                Fraction(query.get("fps", old.fps)),
                parse_numbers(query["gop"]) if "gop" in query else old.gops,
                old.bitrate,
                old.b_frames,
                old.left_out,
                old.picture,
            )
        elif action == "lose":
            for kind in kinds if "what" in query else ["video"]:
                camera.frames_to_lose[kind] = int(query["frames"])
        elif action == "kick":
            GLib.idle_add(lambda: [client.close() for client in self.clients()] and False)
        elif action == "exit":
            os._exit(1)
        else:
            raise ValueError(f"no such action: {action}")
        return {}

    def serve(self, port):
        control = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args):
                pass

            def do_GET(self):
                url = urlparse(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                try:
                    status, answer = 200, control.do(url.path.strip("/"), query)
                except (KeyError, ValueError, RuntimeError) as error:
                    status, answer = 400, {"error": repr(error)}
                body = json.dumps(answer).encode() + b"\n"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        return http.server_port


def require_login(server, factories, method, user, password):
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if method == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    auth.set_realm("IP Camera")
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        for permission in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role("viewer", permission, True)
        factory.set_permissions(permissions)
    server.set_auth(auth)


# --- start -------------------------------------------------------------------------------------------------


def parse_size(text):
    width, height = text.split("x")
    return int(width), int(height)


def parse_numbers(text):
    return [int(length) for length in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--control-port", type=int, default=0, help="0: any free one")
    parser.add_argument("--count", type=int, default=1, help="cameras: /cam1, /cam2, ...")
    parser.add_argument("--codec", choices=["h264", "h265", "mjpeg"], default="h264")
    parser.add_argument("--size", type=parse_size, default=(1280, 720))
    parser.add_argument("--fps", type=Fraction, default=Fraction(25), help="25, 12.5, 30000/1001")
    parser.add_argument("--gop", type=parse_numbers, default=[50], help="GOP lengths in frames, in turn: 25,100,13")
    parser.add_argument("--b-frames", type=int, default=0, help="between two others; H.264 only")
    parser.add_argument(
        "--leave-out",
        type=parse_numbers,
        default=[],
        help="H.264 NAL unit types that are not sent: 7,8 are the parameter sets, which only the SDP has then",
    )
    parser.add_argument("--bitrate", type=int, default=2000, help="kbit/s")
    parser.add_argument("--picture", choices=["still", "moving"], default="still")
    codecs = ["none", "aac", "pcma", "pcmu", *NO_CODECS]
    parser.add_argument("--audio", choices=codecs, default="none", help="the last two: no codec that ffmpeg knows")
    parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="secret")
    return parser.parse_args()


def die_with_parent(loop):
    sys.stdin.buffer.read()
    loop.quit()


def main():
    args = arguments()
    Gst.init(None)
    profile = Profile(
        args.codec, args.size, args.fps, args.gop, args.bitrate, args.b_frames, args.leave_out, args.picture
    )
    audio = None if args.audio == "none" else encode_audio("pcma" if args.audio in NO_CODECS else args.audio)
    if args.audio == "siren":
        audio.caps = Gst.Caps.from_string("audio/x-siren, dct-length=(int)320")
        # 20 ms of it: with more the payloader's clock would run ahead.
        for frame in audio.frames:
            frame.data = frame.data[:40]
    camera = Camera(profile, audio, args.audio)

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    factories = []
    for number in range(1, args.count + 1):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(camera.launch_line())
        factory.set_shared(True)
        factory.set_latency(0)
        factory.connect("media-configure", camera.configure)
        server.get_mount_points().add_factory(f"/cam{number}", factory)
        factories.append(factory)
    if args.auth != "none":
        require_login(server, factories, args.auth, args.user, args.password)
    if server.attach(None) == 0:
        sys.exit(f"can't listen on port {args.port}")

    control_port = Control(camera, server).serve(args.control_port)
    loop = GLib.MainLoop()
    GLib.timeout_add_seconds(5, lambda: server.get_session_pool().cleanup() or True)
    threading.Thread(target=die_with_parent, args=(loop,), daemon=True).start()
    print(f"READY rtsp-port={server.get_bound_port()} control-port={control_port}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
