// The page: finds the cameras, plays one, shows how it goes.
import { type Camera, cameraFromSource, fetchCameras, NotAllowed, pickCamera, readQuery } from './catalog.ts';
import { chooseEngine } from './engine.ts';
import { Player, type Stats } from './player.ts';
import { View } from './view.ts';

declare global {
  interface Window {
    edgePlayer?: { stats(): Stats; goLive(): void };
  }
}

const CATALOG_RETRY_MS = 2000;

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
  const openEngine = chooseEngine(new URL('assets/hls.worker.js', base).href);
  if (!openEngine) {
    view.showMessage('this browser cannot play HLS', 'Any current Chrome, Edge, Firefox or Safari can.');
    return;
  }
  const player = new Player(view.video, openEngine, findAgain, (stats) => view.showStats(stats));
  view.onGoLive(() => player.goLive());
  const play = (camera: Camera) => {
    view.showCamera(camera);
    player.open(camera);
  };
  window.edgePlayer = { stats: () => player.stats(), goLive: () => player.goLive() };

  if (query.src !== null) {
    const camera = cameraFromSource(query.src, query.name, base);
    if (camera) play(camera);
    else view.showMessage('this is no playlist address', 'Give ?src= the http(s) address of a stream.m3u8.');
    return;
  }
  void playFromServer(view, play);
}

async function playFromServer(view: View, play: (camera: Camera) => void): Promise<void> {
  const cameras = await camerasOfServer(view);
  const first = cameras && pickCamera(cameras, query.camera);
  if (!first) {
    const hint = cameras ? 'Add one to cameras.yaml.' : 'Add ?src= with the address of a stream.m3u8.';
    view.showMessage('no camera to show', hint);
    return;
  }
  view.showChooser(cameras, (camera) => {
    const url = new URL(location.href);
    url.searchParams.set('camera', camera.id);
    history.replaceState(null, '', url);
    play(camera);
  });
  play(first);
}

/** The page may outlive the server: asks until it answers. */
async function camerasOfServer(view: View): Promise<Camera[] | null> {
  for (;;) {
    try {
      return await fetchCameras(base);
    } catch (error) {
      if (error instanceof NotAllowed)
        view.showMessage('the session is over', 'Open this page with ?token= again.');
      else view.showMessage('waiting for the agent', '');
      await new Promise((resolve) => setTimeout(resolve, CATALOG_RETRY_MS));
    }
  }
}

/** As the server has it now; `undefined`: it does not know the camera, or does not answer. */
async function findAgain(camera: Camera): Promise<Camera | undefined> {
  const cameras = await fetchCameras(base).catch(() => null);
  return cameras?.find(({ id }) => id === camera.id);
}

main();
