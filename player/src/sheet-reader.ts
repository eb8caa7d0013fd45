// Reads the agent's word on a stream, and keeps it.
import { fetchSheet, type Sheet } from './sheet.ts';
import { SheetTimes } from './sheet-times.ts';

export class SheetReader {
  sheet: Sheet | null = null;
  /** The last sheet and the one before agree on whether there are whole segments. */
  areWholesSure = true;
  private readonly times = new SheetTimes();

  /** Once it is time; `true`: there is another one. */
  async read(
    nowMs: number,
    isMoving: boolean,
    address: () => string | null,
    /** Parts are for while there is nothing else: it is looked after whether there is. */
    minds: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!this.times.isDue(nowMs, isMoving)) return false;
    this.times.asked(nowMs);
    const answer = await fetchSheet(address(), signal);
    if (signal.aborted) return false;
    if (answer.is === 'failed') this.times.failed(performance.now());
    else if (answer.is === 'none') this.times.none(performance.now());
    else this.heard(answer.sheet, minds);
    return answer.is === 'there';
  }

  private heard(sheet: Sheet, minds: boolean): void {
    const before = this.sheet?.wholeSegments ?? sheet.wholeSegments;
    this.areWholesSure = before === sheet.wholeSegments;
    this.sheet = sheet;
    // Those that came back may make way again at once.
    this.times.answered(performance.now(), minds && !(sheet.wholeSegments && this.areWholesSure));
  }

  /** Why there is no picture, as of the last time that it stood still. */
  get reason(): string | null {
    const { reason = null, phase = null } = this.sheet ?? {};
    return reason ?? HINTS.get(phase ?? '') ?? null;
  }

  /** Wall clock of the newest picture there is, with what the playlist tells. A stream that comes up has none by this word alone. */
  newestMs(listedMs: number | null): number | null {
    const { phase = null, lastSegmentMs = null } = this.sheet ?? {};
    const isAway = phase !== null && phase !== 'starting' && phase !== 'live';
    if (lastSegmentMs === null || (listedMs === null && !isAway)) return listedMs;
    return Math.max(lastSegmentMs, listedMs ?? lastSegmentMs);
  }
}

const HINTS = new Map([
  ['stopped', 'the agent was stopped'],
  // Perhaps it is coming up, as somebody asks for it now.
  ['ended', 'it runs on demand'],
]);
