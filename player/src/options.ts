// What a player is opened with.
import type { CacheBusting } from './addresses.ts';
import type { Engines } from './engine.ts';
import type { Wish } from './wish.ts';

export interface Options {
  engines: Engines;
  workerPath: string | null;
  /** Beside the playlist unless it is told. */
  statusUrl: string | null;
  cacheBusting: CacheBusting;
  /** The viewer's: it outlives what is opened anew. */
  wish: Wish;
  autoplay: () => boolean;
  /** Parts are worth their requests: not for one of many small pictures. */
  parts: boolean;
  /** As whoever knows the cameras has the address now; `undefined`: no other. */
  findAgain: (url: string) => Promise<string | undefined>;
}
