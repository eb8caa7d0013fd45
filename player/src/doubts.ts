// When parts are given up, and the stream is left to the next engine. Pure: time is an argument.

/** In vain so often. */
const MOST_STRIKES = 5;
const MOST_FAULTS = 3;
const FAULTS_WITHIN_MS = 60_000;
/** Segments without parts: they do not get through. */
const MOST_WITHOUT_PARTS = 8;
const MOST_PLAIN = 2;

/** What gives a boolean says whether that was one too many. */
export class Doubts {
  private strikes = 0;
  private faults: number[] = [];
  /** Playlists in a row of an ordinary stream, each with other segments. */
  private plain: string[] = [];
  /** The first segment of those without parts. */
  private withoutParts: number | null = null;

  partCame(): void {
    this.strikes = 0;
    this.withoutParts = null;
  }

  /** The playlist is one of a stream in parts. */
  sawPlaylist(): void {
    this.plain = [];
  }

  sawPlain(text: string): boolean {
    if (!this.plain.includes(text)) this.plain.push(text);
    return this.plain.length > MOST_PLAIN;
  }

  /** The playlist names none, and ends before this segment. */
  sawNoParts(nextSegment: number): boolean {
    this.withoutParts ??= nextSegment;
    return nextSegment - this.withoutParts >= MOST_WITHOUT_PARTS;
  }

  /** What is there could not be had. */
  strike(): boolean {
    this.strikes += 1;
    return this.strikes >= MOST_STRIKES;
  }

  /** The browser gave up on what it was fed. */
  fault(nowMs: number): boolean {
    this.faults = [...this.faults, nowMs].filter((at) => nowMs - at < FAULTS_WITHIN_MS);
    return this.recentFaults >= MOST_FAULTS;
  }

  get recentFaults(): number {
    return this.faults.length;
  }
}
