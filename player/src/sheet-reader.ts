// Reads the agent's word on a stream, and keeps it.
import { fetchSheet, type Sheet } from './sheet.ts';
import { SheetTimes } from './sheet-times.ts';

export class SheetReader {
  sheet: Sheet | null = null;
  private readonly times = new SheetTimes();

  /** Once it is time; `true`: there is another one. */
  async read(
    nowMs: number,
    isMoving: boolean,
    address: () => string | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!this.times.isDue(nowMs, isMoving)) return false;
    this.times.asked(nowMs);
    const answer = await fetchSheet(address(), signal);
    if (signal.aborted) return false;
    if (answer.is === 'failed') this.times.failed(performance.now());
    else if (answer.is === 'none') this.times.none(performance.now());
    else this.times.answered();
    if (answer.is === 'there') this.sheet = answer.sheet;
    return answer.is === 'there';
  }

  /** Why there is no picture, as of the last time that it stood still. */
  get reason(): string | null {
    const { reason = null, phase = null } = this.sheet ?? {};
    return reason ?? (phase === 'stopped' ? 'the agent was stopped' : null);
  }
}
