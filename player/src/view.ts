// The page's elements. Knows how things look, not why.
import type { Camera } from './catalog.ts';
import type { EdgePlayer } from './edge-player.ts';
import { duration } from './status.ts';
import type { Wall } from './wall.ts';

export class View {
  private readonly name = element('name', HTMLElement);
  private readonly stage = element('stage', HTMLElement);
  private readonly facts = element('facts', HTMLElement);
  private readonly delay = element('delay', HTMLElement);
  private readonly picture = element('picture', HTMLElement);
  private readonly cameras = element('cameras', HTMLElement);
  private readonly mode = element('mode', HTMLButtonElement);
  private player: EdgePlayer | null = null;

  /** Another camera is another stream in the same player: full screen and sound stay as they are. */
  showCamera(camera: Camera, findAgain: (src: string) => Promise<string | undefined>): EdgePlayer {
    this.name.textContent = camera.name;
    document.title = camera.name;
    this.facts.hidden = false;
    for (const button of this.cameras.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.dataset.id === camera.id));
    }
    const player = this.player ?? this.makePlayer();
    player.setAttribute('label', `Live video of ${camera.name}`);
    player.findAgain = findAgain;
    player.src = camera.playlistUrl;
    return player;
  }

  showWall(wall: Wall, live: boolean): void {
    this.name.textContent = 'Cameras';
    document.title = 'Cameras';
    document.body.dataset.view = 'wall';
    this.stage.replaceChildren(wall.node);
    this.mode.hidden = false;
    this.mode.setAttribute('aria-pressed', String(live));
    this.mode.addEventListener('click', () => {
      const isLive = this.mode.getAttribute('aria-pressed') !== 'true';
      this.mode.setAttribute('aria-pressed', String(isLive));
      wall.live = isLive;
    });
  }

  /** With one camera there is nothing to choose. */
  showChooser(cameras: readonly Camera[], choose: (camera: Camera) => void): void {
    this.cameras.hidden = cameras.length < 2;
    const all = document.createElement('a');
    all.className = 'button';
    all.textContent = 'All cameras';
    const url = new URL(location.href);
    url.searchParams.delete('camera');
    all.href = url.href;
    this.cameras.replaceChildren(
      all,
      ...cameras.map((camera) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.className = 'button';
        button.textContent = camera.name;
        button.dataset.id = camera.id;
        button.addEventListener('click', () => choose(camera));
        return button;
      }),
    );
  }

  /** Instead of a picture: there is nothing to play, and why. */
  showMessage(text: string, hint: string): void {
    const message = document.createElement('div');
    message.className = 'message';
    message.setAttribute('role', 'status');
    for (const [name, line] of [
      ['message-text', text],
      ['message-hint', hint],
    ] as const) {
      const paragraph = document.createElement('p');
      paragraph.className = name;
      paragraph.textContent = line;
      message.append(paragraph);
    }
    this.player = null;
    this.facts.hidden = true;
    this.mode.hidden = true;
    delete document.body.dataset.view;
    // Said again only when it is something else.
    if (this.stage.textContent !== message.textContent) this.stage.replaceChildren(message);
  }

  private makePlayer(): EdgePlayer {
    const player = document.createElement('edge-player') as EdgePlayer;
    for (const name of ['muted', 'autoplay', 'controls']) player.setAttribute(name, '');
    player.addEventListener('edge-latency', () => this.showFacts(player));
    player.addEventListener('edge-state', () => this.showFacts(player));
    this.player = player;
    this.stage.replaceChildren(player);
    return player;
  }

  private showFacts(player: EdgePlayer): void {
    const stats = player.stats();
    const moves = stats?.state === 'live' || stats?.state === 'behind';
    const latency = moves ? (stats?.latency ?? null) : null;
    this.delay.textContent =
      latency === null ? '–' : latency < 90 ? `${latency.toFixed(1)} s` : duration(latency);
    this.picture.textContent = stats?.width ? `${stats.width}×${stats.height}` : '–';
  }
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}
