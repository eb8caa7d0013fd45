// What brings a stream into a <video>, and which engines there are.
import type { Capabilities, Protocol } from './protocol.ts';
import type { Sheet } from './sheet.ts';
import type { Counts } from './totals.ts';

/** One camera's stream. */
export interface Source {
  url: string;
  /** An address as it has to be asked for now (past a CDN). */
  fresh(url: string): string;
  /** The playlist, if it was just read to see what the stream is. */
  opening: string | null;
  workerPath: string | null;
  /** If that is what the viewer wants: a pipeline that ends takes that along. */
  playOn(): void;
}

export interface Engine extends Counts {
  /** Media time of the playlist's end. */
  readonly edge: number | null;
  /** Seconds by which the stream's end is farther than that: it is known, and not fetched yet. */
  readonly lagS?: number;
  /** The media time to go to where what is buffered does not help. */
  readonly livePosition: number | null;
  readonly segmentS: number | null;
  /** The live-edge controller leads it; else it keeps its own distance. */
  readonly isLed: boolean;
  /** Wall clock (ms) of the picture, and of the end of the newest segment, from the playlist's program date time. */
  readonly pictureTimeMs: number | null;
  readonly newestTimeMs: number | null;
  /** What to add to this device's clock. */
  readonly skewMs: number;
  readonly lastError: string | null;
  /** It can't play this stream, and never will. */
  readonly isUnfit: boolean;
  /** If so because of its codecs: the ones that this browser refuses. */
  readonly cantDecode: string | null;
  /** It has enough and asks for nothing: that nothing is new is its own doing. */
  readonly isIdle: boolean;
  readonly ended: boolean;
  /** When the playlist last answered, and when it last named a new segment (`performance.now()`). */
  readonly answeredAtMs: number;
  readonly newsAtMs: number;
  readonly bitrateKbps: number | null;
  /** Counts the times that it went on somewhere else: what was learnt of arrivals does not hold across. */
  readonly breaks: number;
  adopt?(sheet: Sheet): void;
  /** Nobody watches: nothing is asked for until it wakes. */
  rest(): void;
  /** The network or the viewer is back: ask now, not after the delay. */
  wake(): void;
  destroy(): void;
}

export type OpenEngine = (video: HTMLVideoElement, source: Source) => Engine;

/** An engine of another protocol is one more entry, where `selectProtocol` finds it. */
export type Engines = Partial<Record<Protocol, OpenEngine>>;

export const RETRY_FIRST_MS = 1000;
export const RETRY_MAX_MS = 8000;

export function capabilities(engines: Engines): Capabilities {
  const mse = (globalThis as { ManagedMediaSource?: unknown }).ManagedMediaSource ?? globalThis.MediaSource;
  return {
    engines: Object.keys(engines) as Protocol[],
    webRtc: 'RTCPeerConnection' in globalThis,
    mediaSource: mse !== undefined,
    nativeHls: document.createElement('video').canPlayType('application/vnd.apple.mpegurl') !== '',
  };
}

/** There is no other engine (`chain`), and this one can't either; the browser's own says no more than that it fails. */
export function isOutOfWays(engine: Engine | null, chain: readonly Protocol[]): boolean {
  if (!engine || chain.length > 1) return false;
  return engine.isUnfit || (!engine.isLed && engine.lastError !== null);
}
