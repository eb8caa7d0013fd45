// Which ways a stream can come to this viewer, best first. Pure.

/** `sub_second`: parts by predicted name. An engine of each has its place in `engine.ts`. */
export type Protocol = 'webrtc' | 'sub_second' | 'hls.js' | 'native';

const BEST_FIRST: readonly Protocol[] = ['webrtc', 'sub_second', 'hls.js', 'native'];

/** What this browser can, and what this build has an engine for. */
export interface Capabilities {
  engines: readonly Protocol[];
  webRtc: boolean;
  /** Also Safari's ManagedMediaSource. */
  mediaSource: boolean;
  nativeHls: boolean;
}

/** What is offered of one camera. */
export interface Streams {
  playlist: boolean;
  /** The playlist names parts. */
  parts: boolean;
  webRtc: boolean;
}

/** All that can play it, best first: where one fails for good, the next one's turn comes. Empty: nothing can. */
export function selectProtocol(can: Capabilities, streams: Streams): Protocol[] {
  const fits: Record<Protocol, boolean> = {
    webrtc: can.webRtc && streams.webRtc,
    sub_second: can.mediaSource && streams.parts && streams.playlist,
    'hls.js': can.mediaSource && streams.playlist,
    native: can.nativeHls && streams.playlist,
  };
  return BEST_FIRST.filter((protocol) => fits[protocol] && can.engines.includes(protocol));
}
