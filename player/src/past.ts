// What a stream in parts counts over all its queues.
import type { PartQueue } from './part-queue.ts';

export class Past {
  lost = 0;
  inVain = 0;
  /** Of what has to be there: playlists, and parts that one names. */
  refused = 0;

  keep(queue: PartQueue | null): void {
    this.lost += queue?.lost ?? 0;
    this.inVain += queue?.inVain ?? 0;
  }
}
