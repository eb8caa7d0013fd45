// Whether the viewer wants it to play: what the viewer did last. Pure.

/** Phones pause first, and tell then that the page is hidden; a viewer who pauses and leaves takes longer. */
const HIDES_WITHIN_MS = 300;

export class Wish {
  private value: boolean | null = null;
  private pause: { atMs: number; before: boolean | null } | null = null;

  /** `null`: the viewer did nothing yet. */
  get isToPlay(): boolean | null {
    return this.value;
  }

  plays(): void {
    this.value = true;
    this.pause = null;
  }

  /** By the browser: it is as before. */
  refused(before: boolean | null): void {
    if (this.value) this.value = before;
  }

  /** Without doubt, and also of what is paused just now. */
  stops(): void {
    this.value = false;
    this.pause = null;
  }

  /** By the viewer, as it seems. */
  paused(nowMs: number): void {
    // Who was taken at his word pauses no more.
    if (this.value === false) return;
    this.pause = { atMs: nowMs, before: this.value };
    this.value = false;
  }

  /** So the browser paused, if that was just now. */
  hidden(nowMs: number): void {
    if (this.pause && nowMs - this.pause.atMs < HIDES_WITHIN_MS) this.value = this.pause.before;
    this.pause = null;
  }
}
