// What is asked of the store: objects by their addresses, that may not be there yet.

export type Answer =
  | { is: 'there'; bytes: ArrayBuffer; sentMs: number; headers: string }
  /** Not there yet: 404, 400 (Supabase), 403 (S3 for who may not list). */
  | { is: 'missing'; status: number }
  | { is: 'fault'; words: string }
  /** Nobody waits for it any more. */
  | { is: 'over' };

export type Ask = (url: string) => Promise<Answer>;

const PATIENCE_MS = 5000;
/** While others are answered, an error without a status is a store's 404 without CORS headers. */
const ANSWERING_MS = 2000;

export class Store {
  requests = 0;
  faults = 0;
  private answeredAtMs: number;
  private life = new AbortController();

  /** `answers`: it did a moment ago. */
  constructor(answers = false) {
    this.answeredAtMs = answers ? performance.now() : Number.NEGATIVE_INFINITY;
  }

  get(url: string): Promise<Answer> {
    return this.asker()(url);
  }

  /** For who asks several times in a row: nothing more is sent for it once this was dropped. */
  asker(): Ask {
    const { life } = this;
    return (url) => this.ask(url, life);
  }

  /** Nobody waits for what is under way. */
  drop(): void {
    this.life.abort();
    this.life = new AbortController();
  }

  private async ask(url: string, life: AbortController): Promise<Answer> {
    if (life.signal.aborted) return { is: 'over' };
    // AbortSignal.any is too young for some browsers.
    const abort = new AbortController();
    const stop = () => abort.abort();
    const timer = setTimeout(stop, PATIENCE_MS);
    life.signal.addEventListener('abort', stop);
    this.requests += 1;
    const sentMs = performance.now();
    try {
      // What was missing a moment ago may be there now.
      const response = await fetch(url, { cache: 'no-store', signal: abort.signal });
      const { status } = response;
      if (isMissing(status)) {
        await response.arrayBuffer();
        return life.signal.aborted ? { is: 'over' } : { is: 'missing', status };
      }
      if (!response.ok) return this.fault(`HTTP ${status}`);
      const bytes = await response.arrayBuffer();
      if (life.signal.aborted) return { is: 'over' };
      this.answeredAtMs = performance.now();
      return { is: 'there', bytes, sentMs, headers: headersOf(response) };
    } catch (error) {
      if (life.signal.aborted) return { is: 'over' };
      if (abort.signal.aborted) return this.fault('no answer in time');
      if (performance.now() - this.answeredAtMs < ANSWERING_MS) return { is: 'missing', status: 0 };
      return this.fault(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      life.signal.removeEventListener('abort', stop);
    }
  }

  private fault(words: string): Answer {
    this.faults += 1;
    return { is: 'fault', words };
  }
}

/** Not of one that asks for less (429), or that is slow (408). */
export function isMissing(status: number): boolean {
  return status >= 400 && status < 500 && status !== 429 && status !== 408;
}

/** As `clock.ts` reads them. */
function headersOf({ headers }: Response): string {
  return ['date', 'age']
    .map((name) => [name, headers.get(name)])
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\r\n');
}
