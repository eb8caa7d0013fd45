// A plain snapshot of a player, for whoever embeds it, the panel and tests.
import type { Protocol } from './protocol.ts';
import type { Latencies, Status } from './status.ts';

/** What the player knows beside its <video>. Times in seconds. */
export interface Known {
  playlistUrl: string | null;
  protocol: Protocol | null;
  state: Status['kind'];
  label: string;
  framesPresented: number;
  /** From the lens if the stream has wall-clock times, else from the live edge. */
  latency: number | null;
  latencies: Latencies;
  /** What the live-edge controller keeps ahead when the buffer is lowest. */
  floor: number | null;
  bitrateKbps: number | null;
  requests: number;
  failedRequests: number;
  /** For parts that were not there yet. */
  requestsInVain: number;
  requestsPerSecond: number | null;
  /** `null`: the stream is not played by parts. */
  partsLost: number | null;
  /** The picture had to wait for data, after the first frame. */
  stalls: number;
  /** Seeks to the live edge and over holes. */
  jumps: number;
  /** Times the whole pipeline was opened anew. */
  reopened: number;
  lastError: string | null;
  /** What the agent says is wrong with the camera. */
  reason: string | null;
}

export interface Stats extends Known {
  framesDropped: number;
  currentTime: number;
  playbackRate: number;
  /** Seconds ahead of the picture. */
  buffer: number;
  seekable: [number, number] | null;
  buffered: [number, number][];
  width: number;
  height: number;
}

export function statsOf(video: HTMLVideoElement, known: Known): Stats {
  const buffered = ranges(video.buffered);
  const here = buffered.find(([start, end]) => video.currentTime >= start && video.currentTime <= end);
  return {
    ...known,
    framesDropped: video.getVideoPlaybackQuality().droppedVideoFrames,
    currentTime: video.currentTime,
    playbackRate: video.playbackRate,
    buffer: here ? here[1] - video.currentTime : 0,
    seekable: ranges(video.seekable).at(-1) ?? null,
    buffered,
    width: video.videoWidth,
    height: video.videoHeight,
  };
}

export function ranges(list: TimeRanges): [number, number][] {
  return Array.from({ length: list.length }, (_, i) => [list.start(i), list.end(i)]);
}
