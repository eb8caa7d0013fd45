// Which tiles of a wall play at a time. Pure.

export interface Tile {
  id: string;
  visible: boolean;
  /** It has a still picture, and that is enough. */
  still: boolean;
}

/** In the order of the page; whoever plays already goes on, so that scrolling restarts nothing that stays in view. */
export function choosePlaying(
  tiles: readonly Tile[],
  playing: ReadonlySet<string>,
  most: number,
): Set<string> {
  const wanted = tiles.filter(({ visible, still }) => visible && !still).map(({ id }) => id);
  const [on, off] = [wanted.filter((id) => playing.has(id)), wanted.filter((id) => !playing.has(id))];
  return new Set([...on, ...off].slice(0, Math.max(0, most)));
}

/** Decoders of a phone are few. */
export function mostPlaying(query: string | null, isSmall: boolean): number {
  const wanted = query === null ? Number.NaN : Number(query);
  return Number.isInteger(wanted) && wanted >= 0 && wanted <= 25 ? wanted : isSmall ? 4 : 9;
}
