// Where a stream is now, while its picture stands: of a camera that was moved, or a signed address that is good no more.
import { placeOf } from './addresses.ts';
import { Backoff } from './recovery.ts';

/** What had a picture for so long was found. */
const STABLE_MS = 30_000;
const FIRST_SEARCH_MS = 3000;
const LAST_SEARCH_MS = 60_000;

/** When to ask whether the stream has another address now: while its picture stands, ever more rarely. */
export class Search {
  private readonly pauses = new Backoff(FIRST_SEARCH_MS, LAST_SEARCH_MS);
  private dueMs: number | null = null;
  private wellSinceMs: number | null = null;

  isDue(nowMs: number, stands: boolean): boolean {
    if (!stands) {
      this.wellSinceMs ??= nowMs;
      if (nowMs - this.wellSinceMs >= STABLE_MS) this.pauses.reset();
      this.dueMs = null;
      return false;
    }
    this.wellSinceMs = null;
    this.dueMs ??= nowMs + this.pauses.next();
    if (nowMs < this.dueMs) return false;
    this.dueMs = nowMs + this.pauses.next();
    return true;
  }
}

/** Whether requests fail since the playlist answered last. */
class Refusals {
  private answeredAtMs = Number.NaN;
  private before = 0;

  look({ answeredAtMs, failedRequests }: { answeredAtMs: number; failedRequests: number }): boolean {
    if (answeredAtMs !== this.answeredAtMs || failedRequests < this.before) {
      this.answeredAtMs = answeredAtMs;
      this.before = failedRequests;
    }
    return failedRequests > this.before;
  }
}

/** What is looked at of an engine. */
interface Seen {
  answeredAtMs: number;
  failedRequests: number;
  /** It tells of its requests. */
  isLed: boolean;
}

export class Whereabouts {
  private readonly search = new Search();
  private readonly refusals = new Refusals();

  /** `findAgain`: as whoever knows the cameras has the address now. */
  constructor(private readonly findAgain: (url: string) => Promise<string | undefined>) {}

  /** Another address than `url`, which has something else to show. */
  async look(nowMs: number, url: string, engine: Seen | null, stands: boolean): Promise<string | null> {
    const isRefused = engine !== null && this.refusals.look(engine);
    if (!this.search.isDue(nowMs, stands)) return null;
    const found = await this.findAgain(url).catch(() => undefined);
    if (!found || found === url) return null;
    // It answers as it is: a new pipeline would only show the last seconds again.
    return placeOf(found) === placeOf(url) && engine?.isLed && !isRefused ? null : found;
  }
}
