// A <video>'s MediaSource, fed with parts in order. What follows another run, or a part that was lost, is put right behind
// what there is: nothing has to be jumped over, and the picture goes on at once.
import { Hush } from './hush.ts';
import { isTaken, mediaSource } from './media-source.ts';
import type { Init } from './mp4.ts';
import type { Part } from './part-queue.ts';

type Step =
  | { kind: 'append'; bytes: ArrayBuffer }
  | { kind: 'type'; type: string }
  | { kind: 'offset'; seconds: number }
  | { kind: 'remove'; toS: number };

/** From here on the run's time is the media's, less the offset. */
interface Stretch {
  run: string;
  fromS: number;
  offsetS: number;
}

/** Parts of a run follow each other more exactly than that. */
const SEAM_S = 0.05;
/** A page may be open for months. */
const KEEP_BEHIND_S = 8;
const TRIM_AT_S = 16;
const MOST_STRETCHES = 50;
/** So many that wait: the browser takes no more. */
const MOST_STEPS = 200;

export class MediaFeed {
  private readonly media: MediaSource;
  private readonly url: string;
  private buffer: SourceBuffer | null = null;
  private type = '';
  private steps: Step[] = [];
  private stretches: Stretch[] = [];
  private run = '';
  private init: Init | null = null;
  private readonly hush = new Hush();
  /** The run's time behind its last part. */
  private runEndS: number | null = null;
  private isOpen = false;
  private isClosed = false;
  private isEnding = false;
  private hasMadeRoom = false;
  /** Media time behind the last part. */
  endS = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly onFault: (words: string) => void,
    private readonly isMute: () => boolean,
  ) {
    const Source = mediaSource();
    if (!Source) throw new Error('no MediaSource');
    this.media = new Source();
    this.media.addEventListener('sourceopen', () => this.opened(), { once: true });
    this.url = URL.createObjectURL(this.media);
    // A managed one opens only then.
    if (Source !== globalThis.MediaSource) video.disableRemotePlayback = true;
    video.src = this.url;
  }

  /** `false`: the browser can't play this. */
  begin(run: string, init: Init, bytes: ArrayBuffer): boolean {
    if (!isTaken(init.type)) return false;
    if (this.type !== init.type) this.steps.push({ kind: 'type', type: init.type });
    this.type = init.type;
    this.run = run;
    this.init = init;
    this.runEndS = null;
    this.push({ kind: 'append', bytes });
    return true;
  }

  add(part: Part): void {
    if (this.runEndS === null || Math.abs(part.startS - this.runEndS) > SEAM_S) {
      const offsetS = this.endS - part.startS;
      this.stretches.push({ run: this.run, fromS: this.endS, offsetS });
      if (this.stretches.length > MOST_STRETCHES) this.stretches.shift();
      this.steps.push({ kind: 'offset', seconds: offsetS });
    }
    this.runEndS = part.endS;
    const offsetS = this.stretches.at(-1)?.offsetS ?? 0;
    this.endS = part.endS + offsetS;
    this.trim();
    const bytes = this.init ? this.hush.take(part, this.init, offsetS, this.isMute()) : part.bytes;
    this.push({ kind: 'append', bytes });
  }

  /** The picture stands for want of parts; browsers keep the last frames back, and silence may be there for longer. */
  get isWaiting(): boolean {
    const stands = this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA || this.aheadS <= 0;
    return stands && this.steps.length === 0;
  }

  /** Seconds to the end of what was given. */
  get aheadS(): number {
    return this.endS - this.video.currentTime;
  }

  /** Where in which run a media time is. */
  placeOf(mediaS: number): { run: string; seconds: number } | null {
    const before = this.stretches.filter(({ fromS }) => fromS <= mediaS + 0.001);
    const stretch = before.at(-1) ?? this.stretches[0];
    return stretch ? { run: stretch.run, seconds: mediaS - stretch.offsetS } : null;
  }

  /** Nothing more will come. */
  finish(): void {
    this.isEnding = true;
    this.next();
  }

  destroy(): void {
    this.isClosed = true;
    this.steps = [];
    URL.revokeObjectURL(this.url);
    if (this.video.src === this.url) {
      this.video.removeAttribute('src');
      this.video.load();
    }
  }

  private opened(): void {
    if (this.isClosed) return;
    URL.revokeObjectURL(this.url);
    this.media.duration = Number.POSITIVE_INFINITY;
    this.isOpen = true;
    this.next();
  }

  private push(step: Step): void {
    if (this.isClosed) return;
    this.steps.push(step);
    if (this.steps.length > MOST_STEPS) this.fault('the browser takes no more');
    else this.next();
  }

  private trim(): void {
    const { buffered, currentTime } = this.video;
    const startS = buffered.length ? buffered.start(0) : currentTime;
    if (currentTime - startS > TRIM_AT_S)
      this.steps.push({ kind: 'remove', toS: currentTime - KEEP_BEHIND_S });
  }

  private next(): void {
    while (this.isOpen && !this.isClosed && !this.buffer?.updating) {
      const step = this.steps[0];
      if (!step) {
        if (this.isEnding && this.media.readyState === 'open') this.media.endOfStream();
        return;
      }
      try {
        this.take(step);
        this.steps.shift();
        if (step.kind === 'append') this.hasMadeRoom = false;
      } catch (error) {
        if (this.makeRoom(error)) continue;
        this.fault(error instanceof Error ? error.message : String(error));
        return;
      }
    }
  }

  private take(step: Step): void {
    if (step.kind === 'type') this.setType(step.type);
    const { buffer } = this;
    if (!buffer) return;
    if (step.kind === 'append') buffer.appendBuffer(step.bytes);
    else if (step.kind === 'offset') buffer.timestampOffset = step.seconds;
    else if (step.kind === 'remove') buffer.remove(0, step.toS);
  }

  private setType(type: string): void {
    if (this.buffer) {
      this.buffer.changeType(type);
      return;
    }
    this.buffer = this.media.addSourceBuffer(type);
    this.buffer.addEventListener('updateend', () => this.next());
    this.buffer.addEventListener('error', () => this.fault('the browser could not read a part'));
  }

  /** Once for an append that found no room. */
  private makeRoom(error: unknown): boolean {
    const isFull = error instanceof DOMException && error.name === 'QuotaExceededError';
    const toS = this.video.currentTime - 1;
    if (!isFull || this.hasMadeRoom || toS <= 0) return false;
    this.hasMadeRoom = true;
    this.steps.unshift({ kind: 'remove', toS });
    return true;
  }

  private fault(words: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onFault(words);
  }
}
