// The file that other pages load: defines <edge-player>.
import Hls from 'hls.js/light';
import { edgePlayer } from './element.ts';
import type { Engines } from './engine.ts';
import { HlsJsEngine } from './engine-hls.ts';
import { NativeEngine } from './engine-native.ts';
import { PartsEngine } from './engine-parts.ts';

const engines: Engines = {
  sub_second: (video, source) => new PartsEngine(video, source),
  ...(Hls.isSupported() ? { 'hls.js': (video, source) => new HlsJsEngine(video, source) } : {}),
  native: (video, source) => new NativeEngine(video, source),
};

/** Beside this file; browsers take no worker from another origin, and then hls.js does without. */
function workerPath(): string | null {
  const path = new URL('hls.worker.js', import.meta.url);
  return path.origin === globalThis.location?.origin ? path.href : null;
}

export const EdgePlayer = edgePlayer(engines, workerPath());
export type EdgePlayer = InstanceType<typeof EdgePlayer>;

// Two copies of this file on one page are one too many, and no error.
const elements = globalThis.customElements;
if (elements && !elements.get('edge-player')) elements.define('edge-player', EdgePlayer);
