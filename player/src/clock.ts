// The viewer's clock may be wrong; the server's `Date` says by how much. Pure.

/** A `Date` is cut to whole seconds and travels for a while: smaller differences mean nothing. */
const BELIEVED_SKEW_MS = 3000;

/** What to add to the viewer's clock, from an answer's raw headers; 0 if it is right or nobody says. */
export function clockSkewMs(rawHeaders: string, nowMs: number): number {
  // A cached answer's Date is old.
  if (/^age:\s*[1-9]/im.test(rawHeaders)) return 0;
  const date = /^date:\s*(.+?)\s*$/im.exec(rawHeaders)?.[1];
  const serverMs = date ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(serverMs)) return 0;
  const skew = serverMs + 500 - nowMs;
  return Math.abs(skew) > BELIEVED_SKEW_MS ? skew : 0;
}

/** When what was answered was made, by the viewer's clock; `null`: nobody says. */
export function madeAtMs(headers: Headers, nowMs: number): number | null {
  const made = Date.parse(headers.get('last-modified') ?? '');
  const raw = [...headers].map(([name, value]) => `${name}: ${value}`).join('\n');
  return Number.isNaN(made) ? null : made - clockSkewMs(raw, nowMs);
}
