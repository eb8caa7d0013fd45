// What engines count, over all that a view had: each begins at 0. Pure.

export interface Counts {
  readonly requests: number;
  readonly failedRequests: number;
  /** For what was not there yet: that is how parts are found, and no failure. */
  readonly requestsInVain: number;
  /** `null`: it knows no parts. */
  readonly partsLost: number | null;
}

export class Totals {
  private past = { requests: 0, failedRequests: 0, requestsInVain: 0, partsLost: 0 };

  /** It is given up. */
  keep(engine: Counts): void {
    const { partsLost, ...others } = this.with(engine);
    this.past = { ...others, partsLost: partsLost ?? this.past.partsLost };
  }

  with(engine: Counts | null): Counts {
    const { past } = this;
    if (!engine) return { ...past, partsLost: null };
    return {
      requests: past.requests + engine.requests,
      failedRequests: past.failedRequests + engine.failedRequests,
      requestsInVain: past.requestsInVain + engine.requestsInVain,
      partsLost: engine.partsLost === null ? null : past.partsLost + engine.partsLost,
    };
  }
}
