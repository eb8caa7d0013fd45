// sub_second: parts by their predicted names, straight into a MediaSource. Straight, because hls.js would have to be told
// a playlist that does not exist, and decides by its own rules when a part is late: measured as quick, and less robust.
import { type Beginning, fetchBeginning } from './beginning.ts';
import { Bitrate } from './bitrate.ts';
import { clockSkewMs } from './clock.ts';
import { lacksDecoder, refusedOf, videoOf } from './codecs.ts';
import { Doubts } from './doubts.ts';
import type { Engine, Source } from './engine.ts';
import { lagS, meanS } from './lag.ts';
import { isAudible } from './lead.ts';
import { MediaFeed } from './media-feed.ts';
import { isTaken } from './media-source.ts';
import { type Part, PartQueue } from './part-queue.ts';
import { type Parts, type PartsPlaylist, readPartsPlaylist } from './parts-playlist.ts';
import { Past } from './past.ts';
import { ReadTimes } from './read-times.ts';
import { fromKeyframe, type Run, readPart } from './run.ts';
import { Runs } from './runs.ts';
import { Store } from './store.ts';

/** After that long without a part it goes on somewhere else. */
const BREAK_MS = 1000;
const REOPEN_MS = 500;
/** To begin with: a part, and what jitter takes. */
const FIRST_S = 0.15;
/** Nobody watches what is so far ahead: the video stands. */
const MOST_AHEAD_S = 12;
const LOOK_MS = 250;
const MEASURED_PARTS = 25;
/** Behind what the playlist names: the line is too slow, and it goes on at the edge. */
const MOST_BEHIND_S = 3;

export class PartsEngine implements Engine {
  readonly isLed = true;
  skewMs = 0;
  lastError: string | null = null;
  isUnfit = false;
  cantDecode: string | null = null;
  /** More ahead than anybody watches: nothing is asked for until the video moves. */
  isIdle = false;
  answeredAtMs = Number.NEGATIVE_INFINITY;
  newsAtMs = Number.NEGATIVE_INFINITY;
  breaks = 0;
  private readonly store: Store;
  private readonly listeners = new AbortController();
  private feed: MediaFeed;
  /** `null` until it is known where to go on. */
  private queue: PartQueue | null = null;
  private run: Run | null = null;
  private readonly runs = new Runs();
  private playlist: PartsPlaylist | null = null;
  private readonly past = new Past();
  private isReading = false;
  private isJoining = false;
  private isDestroyed = false;
  private isResting = false;
  /** Parts come again after a while: whether there are newer ones the playlist says first. */
  private isUnsure = false;
  private wasWell = false;
  private readonly doubts = new Doubts();
  private readonly reading = new ReadTimes();
  private readonly bitrate = new Bitrate(MEASURED_PARTS);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reopenTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly source: Source,
  ) {
    this.store = new Store(source.opening !== null);
    this.feed = this.openFeed();
    const { signal } = this.listeners;
    const onError = () => this.onFault(video.error?.message || 'it could not be decoded');
    video.addEventListener('error', onError, { signal });
    if (source.opening !== null) this.readText(source.opening);
    this.tick();
  }

  get edge(): number | null {
    return this.feed.endS > 0 ? this.feed.endS : null;
  }

  get lagS(): number {
    const { run, queue } = this;
    return run && queue ? lagS(run.clock, queue.nextS, this.newsAtMs) : 0;
  }

  get livePosition(): number | null {
    return this.edge === null ? null : Math.max(0, this.edge - this.firstS);
  }

  get segmentS(): number | null {
    return this.run?.parts.partS ?? null;
  }

  get pictureTimeMs(): number | null {
    return this.wallOf(Math.min(this.video.currentTime, this.feed.endS));
  }

  get newestTimeMs(): number | null {
    const ofParts = this.edge === null ? null : this.wallOf(this.edge);
    return Math.max(ofParts ?? 0, this.playlist?.newestMs ?? 0) || null;
  }

  get ended(): boolean {
    return this.video.ended && this.isOver;
  }

  get requests(): number {
    return this.store.requests;
  }

  get failedRequests(): number {
    return this.store.faults + this.past.refused;
  }

  get requestsInVain(): number {
    return this.past.inVain + (this.queue?.inVain ?? 0);
  }

  get partsLost(): number {
    return this.past.lost + (this.queue?.lost ?? 0);
  }

  get bitrateKbps(): number | null {
    return this.bitrate.kbps;
  }

  rest(): void {
    this.isResting = true;
    this.dropQueue();
    this.store.drop();
    clearTimeout(this.timer);
  }

  wake(): void {
    this.isResting = false;
    this.reading.reset();
    this.reading.soon();
    this.tick();
  }

  destroy(): void {
    this.isDestroyed = true;
    this.listeners.abort();
    clearTimeout(this.timer);
    clearTimeout(this.reopenTimer);
    this.dropQueue();
    this.store.drop();
    this.feed.destroy();
  }

  private get firstS(): number {
    return (this.run?.parts.partS ?? 0) + FIRST_S;
  }

  /** The stream has ended, and all of it is here. */
  private get isOver(): boolean {
    const { playlist, queue } = this;
    if (!playlist?.isEnded) return false;
    return !playlist.parts || (queue !== null && queue.next >= playlist.parts.next);
  }

  private openFeed(): MediaFeed {
    const isMute = () => !isAudible(this.video);
    return new MediaFeed(this.video, (words) => this.onFault(words), isMute);
  }

  /** Looks what is to be done, and when to look again. */
  private tick(): void {
    clearTimeout(this.timer);
    if (this.isDestroyed || this.isResting || this.isUnfit) return;
    const now = performance.now();
    let againAtMs = now + LOOK_MS;
    if (this.isAbreast()) {
      if (this.queue && this.run && !this.isUnsure) againAtMs = this.ask(this.queue, this.run, now);
      else if (this.isOver) this.feed.finish();
      this.watch(now);
      if (this.mustRead(now)) void this.read();
    }
    this.timer = setTimeout(() => this.tick(), Math.max(1, againAtMs - now));
  }

  /** Parts that nobody watches are not fetched; when the video moves again it goes on at the edge. */
  private isAbreast(): boolean {
    const isFull = this.feed.aheadS > MOST_AHEAD_S;
    if (isFull && !this.isIdle) this.dropQueue();
    if (!isFull && this.isIdle) this.reading.soon();
    this.isIdle = isFull;
    return !isFull;
  }

  private ask(queue: PartQueue, run: Run, now: number): number {
    for (const part of queue.take(now, this.feed.isWaiting)) this.feed.add(part);
    if (this.isOver) {
      this.feed.finish();
      return now + LOOK_MS;
    }
    const { ask, againAtMs } = queue.due(now);
    for (const number of ask) {
      queue.asked(number, now);
      void this.fetchPart(number, queue, run);
    }
    return againAtMs;
  }

  private async fetchPart(number: number, queue: PartQueue, run: Run): Promise<void> {
    const url = run.parts.url(number);
    // A CDN may keep that there was nothing: what is asked for again has another address.
    const answer = await this.store.get(queue.triesOf(number) > 1 ? this.source.fresh(url) : url);
    if (queue !== this.queue || answer.is === 'over') return;
    const now = performance.now();
    if (answer.is === 'missing') queue.missing(number, now);
    else if (answer.is === 'fault') {
      this.lastError = answer.words;
      queue.failed(number, now);
    } else {
      const part = readPart(answer.bytes, number, run.init);
      if (part) {
        if (now - this.newsAtMs > BREAK_MS + 1000 * run.parts.partS) this.isBackAgain();
        queue.came(part, answer.sentMs, now);
        this.hasCome(part, run, now);
      } else {
        this.lastError = `part ${number} can't be read`;
        queue.failed(number, now);
      }
    }
    this.tick();
  }

  private isBackAgain(): void {
    this.breaks += 1;
    this.isUnsure = true;
    this.reading.soon();
  }

  private hasCome(part: Part, run: Run, now: number): void {
    this.newsAtMs = this.answeredAtMs = now;
    this.lastError = null;
    this.doubts.partCame();
    this.reading.reset();
    run.saw(part);
    this.bitrate.add(part.bytes.byteLength, part.endS - part.startS);
  }

  /** What does not come as it should, the playlist may explain. */
  private watch(now: number): void {
    const isWell = this.queue !== null && !this.queue.isSilent(now) && !this.queue.isStuck(now);
    if (this.wasWell && !isWell) this.reading.soon();
    this.wasWell = isWell;
  }

  private mustRead(now: number): boolean {
    return !this.isReading && !this.isJoining && this.reading.isDue(now) && !this.isOver;
  }

  private async read(): Promise<void> {
    this.isReading = true;
    const answer = await this.store.get(this.source.fresh(this.source.url));
    this.isReading = false;
    if (this.isDestroyed || answer.is === 'over') return;
    const now = performance.now();
    this.reading.tried(now, this.wasWell, this.newsAtMs);
    if (answer.is === 'there') {
      this.skewMs = clockSkewMs(answer.headers, Date.now());
      this.readText(new TextDecoder().decode(answer.bytes));
    } else this.lastError = `playlist: ${answer.is === 'fault' ? answer.words : `HTTP ${answer.status}`}`;
    if (answer.is === 'missing') this.past.refused += 1;
    if (!this.isJoining) this.isUnsure = false;
    this.tick();
  }

  private readText(text: string): void {
    const playlist = readPartsPlaylist(text, this.source.url);
    if (!playlist) {
      this.readPlain(text);
      return;
    }
    this.doubts.sawPlaylist();
    const before = this.playlist?.nextSegment ?? playlist.nextSegment;
    // An old one, out of a cache.
    if (playlist.nextSegment < before) return;
    this.answeredAtMs = performance.now();
    if (playlist.nextSegment > before) this.newsAtMs = this.answeredAtMs;
    this.playlist = playlist;
    if (playlist.parts) this.follow(playlist.parts);
    else this.sawNoParts();
  }

  /** A stream in parts has none between two runs, and when it has ended. */
  private readPlain(text: string): void {
    if (!/^#EXTM3U/.test(text)) return;
    this.answeredAtMs = performance.now();
    if (this.playlist && /^#EXT-X-ENDLIST/m.test(text)) {
      this.playlist = { ...this.playlist, parts: null, isEnded: true };
    } else if (this.doubts.sawPlain(text)) this.isUnfit = true;
  }

  private sawNoParts(): void {
    if (this.doubts.sawNoParts(this.playlist?.nextSegment ?? 0)) this.giveUp('the stream has no parts');
  }

  private giveUp(words: string): void {
    this.lastError = words;
    this.isUnfit = true;
  }

  private follow(parts: Parts): void {
    const { queue, run } = this;
    if (queue && run?.parts.run === parts.run) {
      run.learnTimes(parts);
      // With what opens them now.
      run.parts = parts;
      const behind = parts.next - queue.next;
      const isBehind = this.isUnsure ? behind > 1 : !this.wasWell && behind > 0;
      if (!isBehind && behind * meanS(parts) < MOST_BEHIND_S) return;
    }
    void this.join(parts);
  }

  /** Goes on from the newest parts. */
  private async join(parts: Parts): Promise<void> {
    this.isJoining = true;
    const found = await fetchBeginning(parts, this.runs, this.store);
    this.isJoining = this.isUnsure = false;
    if (this.isDestroyed || this.isResting || this.isUnfit) return;
    if (found === 'unknown codecs') this.giveUp('its codecs are not known here');
    else if (!found || !this.begin(found, parts)) this.strike(parts);
    this.tick();
  }

  /** `false`: there is nothing that could be begun with. */
  private begin({ run, parts: found }: Beginning, parts: Parts): boolean {
    const chosen = fromKeyframe(found, parts.partS + FIRST_S);
    const [first, last] = [chosen[0], chosen.at(-1)];
    if (!first || !last) return false;
    const now = performance.now();
    if (run !== this.run && !this.feed.begin(parts.run, run.init, run.initBytes)) {
      this.cantDecode = refusedOf(run.init.type, isTaken);
      this.giveUp(`this browser can't play ${run.init.type}`);
      return true;
    }
    if (run === this.run && this.queue) this.past.lost += Math.max(0, first.number - this.queue.next);
    this.dropQueue();
    run.parts = parts;
    this.run = run;
    const { isWaiting } = this.feed;
    const fromS = this.feed.endS;
    for (const part of chosen) {
      this.feed.add(part);
      this.hasCome(part, run, now);
    }
    run.learnTimes(parts);
    // With nothing to show before, it begins near the edge.
    if (isWaiting) this.video.currentTime = Math.max(fromS, this.feed.endS - this.firstS);
    const place = { head: last.number + 1, startS: last.endS, partS: parts.partS };
    this.queue = new PartQueue(place, run.clock, now);
    this.breaks += 1;
    this.wasWell = true;
    this.reading.known(now);
    return true;
  }

  /** Parts that a playlist names are there; the one that it hints at will be. */
  private strike({ listed }: Parts): void {
    if (listed.length === 0) this.sawNoParts();
    else if (this.doubts.strike()) this.giveUp(this.lastError ?? "its parts can't be fetched");
    this.past.refused += Math.sign(listed.length);
  }

  private dropQueue(): void {
    this.past.keep(this.queue);
    this.queue = null;
    this.wasWell = false;
  }

  /** The browser gave up on what it was fed: it gets a new pipeline, a few times. */
  private onFault(words: string): void {
    if (this.isDestroyed || this.isUnfit) return;
    this.lastError = words;
    this.feed.destroy();
    if (lacksDecoder(words)) this.cantDecode = videoOf(this.run?.init.type ?? '');
    this.isUnfit = this.doubts.fault(performance.now()) || this.cantDecode !== null;
    clearTimeout(this.reopenTimer);
    this.reopenTimer = setTimeout(() => {
      this.dropQueue();
      this.run = null;
      this.feed = this.openFeed();
      this.source.playOn();
      if (!this.isResting) this.wake();
    }, REOPEN_MS * this.doubts.recentFaults);
  }

  private wallOf(mediaS: number): number | null {
    return this.runs.wallOf(this.feed.placeOf(mediaS));
  }
}
