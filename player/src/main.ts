// The page: finds the cameras, plays one or shows them all.
import { type Camera, cameraFromSource, fetchCameras, isRefused, NotAllowed, readQuery } from './catalog.ts';
import type { Stats } from './stats.ts';
import { View } from './view.ts';
import { type TileReport, Wall } from './wall.ts';
import { mostPlaying } from './wall-choice.ts';
import './edge-player.ts';

declare global {
  interface Window {
    edgePlayer?: { stats(): Stats | null; goLive(): void };
    edgeWall?: { tiles(): TileReport[] };
  }
}

const CATALOG_RETRY_MS = 2000;
const CATALOG_AGAIN_MS = 30_000;

const base = document.baseURI;
const query = readQuery(location.search);

/** The token that opened the page has become a cookie: out of the address, before somebody copies it. */
function hideToken(): void {
  const url = new URL(location.href);
  if (!url.searchParams.has('token')) return;
  url.searchParams.delete('token');
  history.replaceState(null, '', url);
}

function main(): void {
  hideToken();
  const view = new View();
  if (query.src !== null) {
    const camera = cameraFromSource(query.src, query.name, base);
    if (camera) playOne(view, camera);
    else view.showMessage('this is no playlist address', 'Give ?src= the http(s) address of a stream.m3u8.');
    return;
  }
  void playFromServer(view);
}

function playOne(view: View, camera: Camera): void {
  const player = view.showCamera(camera, (src) => findAgain(view, camera.id, src));
  window.edgePlayer = { stats: () => player.stats(), goLive: () => player.goLive() };
}

async function playFromServer(view: View): Promise<void> {
  const cameras = await camerasOfServer(view);
  const [first] = cameras ?? [];
  if (!cameras || !first) {
    view.showMessage('no camera to show', 'Add ?src= with the address of a stream.m3u8.');
    return;
  }
  if (query.camera === null && cameras.length > 1) {
    showWall(view, cameras);
    return;
  }
  view.showChooser(cameras, (camera) => {
    const url = new URL(location.href);
    url.searchParams.set('camera', camera.id);
    history.replaceState(null, '', url);
    playOne(view, camera);
  });
  const wanted = query.camera === null ? first : cameras.find(({ id }) => id === query.camera);
  if (wanted) playOne(view, wanted);
  else
    view.showMessage(
      'there is no camera of this name',
      'Open this page without ?camera= for those that there are.',
    );
}

function showWall(view: View, cameras: Camera[]): void {
  const isSmall = matchMedia('(max-width: 40rem)').matches;
  const live = query.wall === 'live';
  const wall = new Wall({ most: mostPlaying(query.playing, isSmall), live, findAgain: findByAddress });
  view.showWall(wall, live);
  wall.show(cameras);
  window.edgeWall = { tiles: () => wall.reports() };
  setInterval(async () => {
    if (document.hidden || isOver) return;
    const now = await camerasNow(view, cameras[0]?.playlistUrl ?? '');
    if (now?.length) wall.show(now);
  }, CATALOG_AGAIN_MS);
}

/** What can't be read now has not changed. `src`: a stream that is shown. */
async function camerasNow(view: View, src: string): Promise<Camera[] | null> {
  try {
    return await fetchCameras(base);
  } catch (error) {
    // What plays without a session goes on.
    if (error instanceof NotAllowed && (await isRefused(src))) void sessionOver(view);
    return null;
  }
}

let isOver = false;

/** The page itself would be refused, too: it stays until there is another session, from another tab perhaps. */
async function sessionOver(view: View): Promise<void> {
  if (isOver) return;
  isOver = true;
  await camerasOfServer(view);
  location.reload();
}

/** The page may outlive the server: asks until it answers, and knows a camera. */
async function camerasOfServer(view: View): Promise<Camera[] | null> {
  for (;;) {
    try {
      const cameras = await fetchCameras(base);
      if (cameras?.length !== 0) return cameras;
      view.showMessage('no camera to show', 'Add one to cameras.yaml.');
    } catch (error) {
      if (error instanceof NotAllowed)
        view.showMessage('the session is over', 'Open this page with ?token= again.');
      else view.showMessage('waiting for the agent', '');
    }
    await new Promise((resolve) => setTimeout(resolve, CATALOG_RETRY_MS));
  }
}

/** As the server has it now; `undefined`: it does not know the camera, or does not answer. */
async function findAgain(view: View, id: string, src: string): Promise<string | undefined> {
  const cameras = id ? await camerasNow(view, src) : null;
  const found = cameras?.find((camera) => camera.id === id)?.playlistUrl;
  return found === src ? undefined : found;
}

/** A wall reads its list anew anyway. */
async function findByAddress(): Promise<undefined> {}

main();
