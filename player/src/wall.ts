// A wall of cameras: still pictures where the agent keeps them, else muted streams of what is in view, a bounded number at a time.
import { pastCdn, placeOf, snapshotUrl } from './addresses.ts';
import type { Camera } from './catalog.ts';
import { madeAtMs } from './clock.ts';
import type { EdgePlayer } from './edge-player.ts';
import type { Stats } from './stats.ts';
import { agoText } from './status.ts';
import { choosePlaying } from './wall-choice.ts';

const STILL_EVERY_MS = 10_000;
const STILL_PATIENCE_MS = 8000;

/** For tests and for whoever embeds the page. */
export interface TileReport {
  id: string;
  mode: 'still' | 'stream' | 'none';
  visible: boolean;
  stats: Stats | null;
}

interface Options {
  most: number;
  /** Still pictures are not enough. */
  live: boolean;
  findAgain(src: string): Promise<string | undefined>;
}

class Tile {
  readonly node = document.createElement('li');
  visible = false;
  still = false;
  /** While it plays. */
  player: EdgePlayer | null = null;
  /** Out of view it keeps what the viewer did with it, and nothing else. */
  private kept: EdgePlayer | null = null;
  private readonly view = document.createElement('div');
  private readonly link = document.createElement('a');
  private readonly age = document.createElement('span');
  private image: HTMLImageElement | null = null;
  /** By the viewer's clock. */
  private takenMs: number | null = null;
  private askedMs = Number.NEGATIVE_INFINITY;
  private asking: AbortController | null = null;

  constructor(public camera: Camera) {
    this.node.className = 'tile';
    this.view.className = 'view';
    const url = new URL(location.href);
    url.searchParams.set('camera', camera.id);
    this.link.href = url.href;
    this.link.className = 'tile-name';
    this.link.textContent = camera.name;
    this.age.className = 'age';
    this.age.hidden = true;
    this.node.append(this.view, this.link, this.age);
  }

  play(options: Options): void {
    if (this.player) return;
    this.kept ??= this.make(options);
    this.kept.src = this.camera.playlistUrl;
    this.player = this.kept;
    this.view.replaceChildren(this.player);
  }

  private make(options: Options): EdgePlayer {
    const player = document.createElement('edge-player') as EdgePlayer;
    for (const name of ['muted', 'autoplay', 'quiet']) player.setAttribute(name, '');
    player.setAttribute('stats', 'none');
    // Five requests a second are for one picture, not for a wall.
    player.setAttribute('parts', 'off');
    player.setAttribute('label', `Live video of ${this.camera.name}`);
    // The list may have signed it anew.
    player.findAgain = async (src) => (await options.findAgain(src)) ?? this.camera.playlistUrl;
    // The tile's link is its one way in for the keyboard.
    player.tabIndex = -1;
    return player;
  }

  stop(): void {
    if (!this.player) return;
    this.player.remove();
    this.player = null;
    this.view.replaceChildren(...(this.image ? [this.image] : []));
  }

  /** Of a still picture: how old it is. */
  showAge(nowMs: number): void {
    const text = this.image && !this.player && this.takenMs !== null ? agoText(nowMs - this.takenMs) : '';
    this.age.hidden = text === '';
    if (this.age.textContent !== text) this.age.textContent = text;
  }

  /** Whether it has a still picture was never asked: it began as a stream. */
  get isUnknown(): boolean {
    return this.askedMs === Number.NEGATIVE_INFINITY;
  }

  /** It may have a still picture: that is not known yet. */
  get isAsking(): boolean {
    return this.asking !== null;
  }

  /** By fetch, so that it is new and no query is needed, and a missing one is told from one that can't be shown. */
  async refresh(nowMs: number): Promise<void> {
    const url = snapshotUrl(this.camera.playlistUrl);
    if (!url || this.asking || nowMs - this.askedMs < STILL_EVERY_MS) return;
    this.askedMs = nowMs;
    const asking = new AbortController();
    this.asking = asking;
    const timer = setTimeout(() => asking.abort(), STILL_PATIENCE_MS);
    try {
      const answer = await fetch(pastCdn(url, Date.now()), { cache: 'no-store', signal: asking.signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      await this.show(await answer.blob());
      this.takenMs = madeAtMs(answer.headers, Date.now());
      this.still = true;
    } catch {
      // A picture that was there stays; a camera without one plays.
    } finally {
      clearTimeout(timer);
      this.asking = null;
    }
  }

  drop(): void {
    this.asking?.abort();
    this.stop();
    if (this.image) URL.revokeObjectURL(this.image.src);
    this.node.remove();
  }

  private async show(picture: Blob): Promise<void> {
    const image = new Image();
    image.alt = `Still picture of ${this.camera.name}`;
    image.src = URL.createObjectURL(picture);
    try {
      await image.decode();
    } catch (error) {
      URL.revokeObjectURL(image.src);
      throw error;
    }
    if (this.image) URL.revokeObjectURL(this.image.src);
    this.image = image;
    if (!this.player) this.view.replaceChildren(image);
  }
}

export class Wall {
  readonly node = document.createElement('ul');
  private tiles: Tile[] = [];
  private readonly seen: IntersectionObserver;

  constructor(private readonly options: Options) {
    this.node.className = 'wall';
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries), { rootMargin: '100px' });
    setInterval(() => void this.arrange(), 1000);
    document.addEventListener('visibilitychange', () => void this.arrange());
  }

  set live(value: boolean) {
    this.options.live = value;
    void this.arrange();
  }

  /** Tiles of cameras that stay are left alone. */
  show(cameras: readonly Camera[]): void {
    const before = new Map(this.tiles.map((tile) => [key(tile.camera), tile]));
    this.tiles = cameras.map((camera) => {
      const tile = before.get(key(camera));
      if (tile) tile.camera = camera;
      return tile ?? this.add(camera);
    });
    const kept = new Set(this.tiles);
    for (const tile of before.values()) {
      if (kept.has(tile)) continue;
      this.seen.unobserve(tile.node);
      tile.drop();
    }
    for (const [at, { node }] of this.tiles.entries()) {
      if (this.node.children[at] !== node) this.node.insertBefore(node, this.node.children[at] ?? null);
    }
  }

  reports(): TileReport[] {
    return this.tiles.map(({ camera, visible, player, still }) => {
      const mode = player ? 'stream' : still ? 'still' : 'none';
      return { id: camera.id, mode, visible, stats: player?.stats() ?? null };
    });
  }

  private add(camera: Camera): Tile {
    const tile = new Tile(camera);
    this.seen.observe(tile.node);
    return tile;
  }

  private onSeen(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const tile = this.tiles.find(({ node }) => node === target);
      if (tile) tile.visible = isIntersecting;
    }
    void this.arrange();
  }

  private async arrange(): Promise<void> {
    if (document.hidden) return;
    const now = performance.now();
    // Whether there is a picture is known before a stream is asked for: on demand that would start a camera.
    const asked = this.tiles.filter(({ visible, player, isUnknown }) => visible && (!player || isUnknown));
    if (!this.options.live) await Promise.all(asked.map((tile) => tile.refresh(now)));
    const wall = this.tiles.map(({ camera, visible, still, isAsking }) => {
      return { id: camera.id, visible, still: (still || isAsking) && !this.options.live };
    });
    const playing = new Set(this.tiles.filter(({ player }) => player).map(({ camera }) => camera.id));
    const chosen = choosePlaying(wall, playing, this.options.most);
    for (const tile of this.tiles) {
      if (chosen.has(tile.camera.id)) tile.play(this.options);
      else tile.stop();
      tile.showAge(Date.now());
    }
  }
}

function key({ id, name, playlistUrl }: Camera): string {
  return JSON.stringify([id, name, placeOf(playlistUrl)]);
}
