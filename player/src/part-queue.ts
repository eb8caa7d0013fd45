// Which parts to ask for, when, and what to make of one that does not come. Pure: time is an argument.
//
// Parts are asked for by name at the time at which they are expected (part-clock.ts), whether the ones before them have
// come or not. One that is missing while a later one is there is late or lost. It is waited for as long as there is
// something to show; then playback goes on with the next part behind it that begins with a keyframe. Where no part
// comes at all the camera, the agent or the network is silent: what is to be done then the playlist says.
import { median } from './median.ts';
import type { PartClock } from './part-clock.ts';

export interface Part {
  number: number;
  startS: number;
  endS: number;
  independent: boolean;
  bytes: ArrayBuffer;
}

/** Where to go on. */
export interface Place {
  /** The first one that is missing. */
  head: number;
  /** The run's time at which it begins. */
  startS: number;
  /** How long a part lasts, as far as one knows: those that come tell better. */
  partS: number;
}

export interface Due {
  ask: number[];
  /** When to look again. */
  againAtMs: number;
}

interface Ask {
  askedMs: number;
  tries: number;
  againAtMs: number;
  isOut: boolean;
}

/** Requests at a time: as many as browsers have connections to a host. */
const AT_ONCE = 6;
/** How far ahead of one that is missing others are asked for: a segment of 5 s has so many. */
const WINDOW = 30;
const FIRST_PAUSE_MS = 8;
const MOST_PAUSE_MS = 250;
const PAUSE_GROWS = 1.5;
/** Who is silent for so long is not asked more often than that. */
const LONG_SILENT_MS = 3000;
const LONG_PAUSE_MS = 1000;
/** The camera is off, it seems: the playlist tells when it is back. */
const OFF_MS = 60_000;
const OFF_PAUSE_MS = 10_000;
/** Of one that is not the next; then it waits for its turn. */
const LATER_TRIES = 8;
const FAULT_PAUSE_MS = 250;
/** It is given up by then, even while there is something to show. */
const PATIENCE_MS = 1000;
/** Without any part for so long beyond the time that one was due, the playlist is asked. */
export const SILENT_MS = 600;
const LOOK_MS = 100;
/** A camera that stammers makes a long part or two; at night all become longer. */
const MEASURED = 7;

export class PartQueue {
  private readonly asks = new Map<number, Ask>();
  private readonly held = new Map<number, Part>();
  private head: number;
  private partS: number;
  /** Of the last ones. */
  private lengths: number[];
  /** The run's time behind the last part that was taken. */
  private endS: number;
  private lastCameMs: number;
  /** Never came, or too late. */
  lost = 0;
  inVain = 0;

  constructor(
    place: Place,
    private readonly clock: PartClock,
    nowMs: number,
  ) {
    this.head = place.head;
    this.partS = place.partS;
    // The first one may be a segment's last, which is short.
    this.lengths = [place.partS, place.partS];
    this.endS = place.startS;
    this.lastCameMs = nowMs;
  }

  get next(): number {
    return this.head;
  }

  /** The run's time at which that begins. */
  get nextS(): number {
    return this.endS;
  }

  due(nowMs: number): Due {
    const due: Due = { ask: [], againAtMs: nowMs + LOOK_MS };
    let free = AT_ONCE - [...this.asks.values()].filter(({ isOut }) => isOut).length;
    for (let number = this.head; number < this.head + WINDOW; number += 1) {
      const ask = this.asks.get(number);
      if (this.held.has(number) || ask?.isOut) continue;
      const at = ask ? ask.againAtMs : this.firstAt(number, nowMs);
      if (at > nowMs) {
        due.againAtMs = Math.min(due.againAtMs, at);
        // Those behind it are due later still.
        if (!ask) break;
      } else if (free > 0 && this.mayAsk(number, ask, nowMs)) {
        free -= 1;
        due.ask.push(number);
      }
    }
    return due;
  }

  triesOf(number: number): number {
    return this.asks.get(number)?.tries ?? 0;
  }

  asked(number: number, nowMs: number): void {
    const ask = this.asks.get(number) ?? { askedMs: nowMs, tries: 0, againAtMs: 0, isOut: false };
    ask.tries += 1;
    ask.isOut = true;
    this.asks.set(number, ask);
  }

  came(part: Part, sentMs: number, nowMs: number): void {
    const ask = this.asks.get(part.number);
    this.asks.delete(part.number);
    // It was given up, or is another's.
    if (part.number < this.head || this.held.has(part.number)) return;
    // At the first try there was no wait but the browser's own work.
    const askedMs = ask && ask.tries > 1 ? ask.askedMs : sentMs;
    this.clock.came(part.endS, askedMs, sentMs);
    this.lastCameMs = nowMs;
    this.held.set(part.number, part);
  }

  missing(number: number, nowMs: number): void {
    this.inVain += 1;
    this.again(number, nowMs, FIRST_PAUSE_MS);
  }

  /** The network's or the store's fault, not the part's. */
  failed(number: number, nowMs: number): void {
    this.again(number, nowMs, FAULT_PAUSE_MS);
  }

  /** All that can be shown now, in order. `isWaiting`: there is nothing more to show. */
  take(nowMs: number, isWaiting: boolean): Part[] {
    const taken: Part[] = [];
    this.goOver(nowMs, isWaiting);
    for (let part = this.held.get(this.head); part; part = this.held.get(this.head)) {
      this.held.delete(this.head);
      this.head += 1;
      this.endS = part.endS;
      this.lengths = [...this.lengths, part.endS - part.startS].slice(-MEASURED);
      taken.push(part);
    }
    this.partS = median(this.lengths) ?? this.partS;
    return taken;
  }

  /** Nothing comes any more, and something should have. */
  isSilent(nowMs: number): boolean {
    const dueMs = this.lastCameMs + this.partS * 1000;
    return this.held.size === 0 && nowMs - dueMs > SILENT_MS;
  }

  /** Parts come, but none that can be shown. */
  isStuck(nowMs: number): boolean {
    const ask = this.asks.get(this.head);
    return this.held.size > 0 && ask !== undefined && nowMs - ask.askedMs > 2 * PATIENCE_MS;
  }

  private firstAt(number: number, nowMs: number): number {
    if (number > this.head && this.isSilent(nowMs)) return Number.POSITIVE_INFINITY;
    const endS = this.endS + (number - this.head + 1) * this.partS;
    const due = this.clock.dueAtMs(endS);
    if (due !== null) return due;
    // The first one tells when the others come.
    return number === this.head ? nowMs : Number.POSITIVE_INFINITY;
  }

  private mayAsk(number: number, ask: Ask | undefined, nowMs: number): boolean {
    return number === this.head || !ask || (ask.tries < LATER_TRIES && !this.isSilent(nowMs));
  }

  private again(number: number, nowMs: number, pauseMs: number): void {
    const ask = this.asks.get(number);
    if (!ask) return;
    ask.isOut = false;
    const silentMs = nowMs - this.lastCameMs;
    const long = silentMs > OFF_MS ? OFF_PAUSE_MS : LONG_PAUSE_MS;
    const most = silentMs > LONG_SILENT_MS ? long : MOST_PAUSE_MS;
    ask.againAtMs = nowMs + Math.min(most, pauseMs * PAUSE_GROWS ** (ask.tries - 1));
    if (number < this.head) this.asks.delete(number);
  }

  /** Gives up what is missing, if there is something to go on with. */
  private goOver(nowMs: number, isWaiting: boolean): void {
    if (this.held.has(this.head)) return;
    const behind = [...this.held.values()].filter(({ independent }) => independent);
    const numbers = behind.map(({ number }) => number);
    if (numbers.length === 0) return;
    const ask = this.asks.get(this.head);
    const waitedMs = ask ? nowMs - ask.askedMs : 0;
    if (!isWaiting && waitedMs < PATIENCE_MS) return;
    const to = Math.min(...numbers);
    for (let number = this.head; number < to; number += 1) {
      if (!this.held.delete(number)) this.lost += 1;
      this.asks.delete(number);
    }
    this.head = to;
  }
}
