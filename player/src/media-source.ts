// Where parts go in this browser, and what it takes there.

type Constructor = typeof MediaSource;

/** Safari on iPhones has the managed one alone. */
export function mediaSource(): Constructor | undefined {
  return globalThis.MediaSource ?? (globalThis as { ManagedMediaSource?: Constructor }).ManagedMediaSource;
}

/** `type`: with its codecs. */
export function isTaken(type: string): boolean {
  return mediaSource()?.isTypeSupported(type) ?? false;
}
