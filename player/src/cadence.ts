// When to ask for the playlist, so that a new segment is seen soon after it is there. Pure.
//
// hls.js asks once in a segment, at a phase that is left to chance: that costs half a segment of delay on average. Here an
// answer with news moves the next request a little earlier, until one comes too early; that one is asked again soon.

export interface Answer {
  /** Without what gets it past a CDN. */
  url: string;
  text: string;
  /** When it was asked for. */
  beganMs: number;
}

/** Ask again after a moment; or hand it on, as if it had been asked for at that time. */
export type Next = { againInMs: number } | { beganMs: number };

const LEAST_PAUSE_MS = 30;
const MOST_PAUSE_MS = 250;
/** How much of a segment is tried in vain, before it is left to hls.js. */
const PATIENCE = 0.5;

export class Cadence {
  private url = '';
  private newest = -1;
  private triedMs = 0;
  private isSilent = false;
  private isSettled = false;

  answered({ url, text, beganMs }: Answer): Next {
    const { newest, segmentMs, isLive } = read(text);
    // Another rendition's has the same numbers and is wanted at once.
    const isOther = url !== this.url;
    const isNews = newest > this.newest;
    this.url = url;
    if (isOther || isNews) return { beganMs: beganMs - this.lead(isOther, newest, segmentMs) };
    if (!isLive || this.isSilent || segmentMs === 0) return { beganMs };
    const pause = pauseMs(segmentMs);
    this.isSettled = true;
    this.triedMs += pause;
    if (this.triedMs <= PATIENCE * segmentMs) return { againInMs: pause };
    // A camera that is silent is not asked for so often.
    this.isSilent = true;
    return { beganMs };
  }

  private lead(isOther: boolean, newest: number, segmentMs: number): number {
    const isAtOnce = this.triedMs === 0;
    this.newest = newest;
    this.triedMs = 0;
    this.isSilent = false;
    if (isOther || !isAtOnce) return 0;
    // The first time it may be as much as a segment late.
    return this.isSettled ? pauseMs(segmentMs) / 4 : segmentMs / 4;
  }
}

function pauseMs(segmentMs: number): number {
  return Math.max(LEAST_PAUSE_MS, Math.min(MOST_PAUSE_MS, segmentMs / 16));
}

/** The newest segment's number and duration. */
function read(text: string): { newest: number; segmentMs: number; isLive: boolean } {
  const first = Number(/^#EXT-X-MEDIA-SEQUENCE:(\d+)/m.exec(text)?.[1] ?? 0);
  const durations = [...text.matchAll(/^#EXTINF:([\d.]+)/gm)];
  const seconds = Number(durations.at(-1)?.[1] ?? 0);
  const isLive = !/^#EXT-X-ENDLIST/m.test(text);
  return {
    newest: first + durations.length,
    segmentMs: Number.isFinite(seconds) ? seconds * 1000 : 0,
    isLive,
  };
}
