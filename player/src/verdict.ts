// Whether the viewer is told that this browser can't play the stream. Pure: time is an argument.

/** It is tried again now and then, and takes so long to find out the same: meanwhile it stays said. */
const STANDS_MS = 15_000;

export class Verdict {
  private heard: string | null = null;
  private isTold = false;
  private untilMs = Number.NEGATIVE_INFINITY;

  /** An engine can't decode these codecs. */
  hear(nowMs: number, codecs: string): void {
    this.heard = codecs;
    this.untilMs = nowMs + STANDS_MS;
  }

  /** The codecs, once there is no other engine to be tried (`isLast`) and this one plays nothing either. */
  look(nowMs: number, seen: { moved: boolean; isLast: boolean }): string | null {
    if (seen.moved || nowMs > this.untilMs) {
      this.heard = null;
      this.isTold = false;
    } else if (seen.isLast) {
      this.isTold = true;
      this.untilMs = nowMs + STANDS_MS;
    }
    return this.isTold ? this.heard : null;
  }
}
