// What a stream offers, by its playlist. Pure but for `readPlaylist`.

const PATIENCE_MS = 2000;

/** `null`: nobody says yet. */
export async function readPlaylist(url: string, signal: AbortSignal): Promise<string | null> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  const timer = setTimeout(stop, PATIENCE_MS);
  signal.addEventListener('abort', stop);
  try {
    const response = await fetch(url, { cache: 'no-store', signal: abort.signal });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
