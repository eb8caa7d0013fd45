// hls.js's own loader, asked again where `cadence.ts` says so.
import type {
  HlsConfig,
  Loader,
  LoaderCallbacks,
  LoaderConfiguration,
  LoaderStats,
  PlaylistLoaderContext,
} from 'hls.js/light';
import type { Cadence, Next } from './cadence.ts';

export type LoaderBase = new (config: HlsConfig) => Loader<PlaylistLoaderContext>;
type Load = [PlaylistLoaderContext, LoaderConfiguration, LoaderCallbacks<PlaylistLoaderContext>];

/** `handsOn` hears before hls.js when an answer counts as asked for. */
export function cadencedLoader(
  Base: LoaderBase,
  cadence: Cadence,
  handsOn: (beganMs: number) => void,
): LoaderBase {
  return class implements Loader<PlaylistLoaderContext> {
    context: PlaylistLoaderContext | null = null;
    private inner: Loader<PlaylistLoaderContext>;
    private timer: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly config: HlsConfig) {
      this.inner = new Base(config);
    }

    get stats(): LoaderStats {
      return this.inner.stats;
    }

    load(...load: Load): void {
      const [context, config, callbacks] = load;
      this.context = context;
      // The first one decides what is played: that is not for here.
      if (!('level' in context) || context.level === null) {
        this.inner.load(context, config, callbacks);
        return;
      }
      const onSuccess: typeof callbacks.onSuccess = (response, stats, ...more) => {
        const text = typeof response.data === 'string' ? response.data : '';
        const next: Next = cadence.answered({ url: context.url, text, beganMs: stats.loading.start });
        if ('againInMs' in next) {
          this.timer = setTimeout(() => this.again(load), next.againInMs);
          return;
        }
        handsOn(next.beganMs);
        callbacks.onSuccess(response, stats, ...more);
      };
      this.inner.load(context, config, { ...callbacks, onSuccess });
    }

    abort(): void {
      clearTimeout(this.timer);
      this.inner.abort();
    }

    destroy(): void {
      clearTimeout(this.timer);
      this.inner.destroy();
      this.context = null;
    }

    getCacheAge(): number | null {
      return this.inner.getCacheAge?.() ?? null;
    }

    getResponseHeader(name: string): string | null {
      return this.inner.getResponseHeader?.(name) ?? null;
    }

    private again(load: Load): void {
      this.inner.destroy();
      this.inner = new Base(this.config);
      this.load(...load);
    }
  };
}
