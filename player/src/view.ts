// The page's elements. Knows how things look, not why.
import type { Camera } from './catalog.ts';
import type { Stats } from './player.ts';
import { duration } from './status.ts';

/** Fast enough to be seen as smooth work, slow enough that a number can be read. */
const DELAY_SMOOTHING = 0.3;

export class View {
  readonly video = element('video', HTMLVideoElement);
  private readonly name = element('name', HTMLElement);
  private readonly chip = element('chip', HTMLElement);
  private readonly label = element('label', HTMLElement);
  private readonly announcer = element('announcer', HTMLElement);
  private readonly veil = element('veil', HTMLElement);
  private readonly veilText = element('veil-text', HTMLElement);
  private readonly veilHint = element('veil-hint', HTMLElement);
  private readonly delay = element('delay', HTMLElement);
  private readonly picture = element('picture', HTMLElement);
  private readonly goLive = element('go-live', HTMLButtonElement);
  private readonly cameras = element('cameras', HTMLElement);
  private smoothDelay: number | null = null;

  onGoLive(action: () => void): void {
    this.goLive.addEventListener('click', action);
  }

  showCamera(camera: Camera): void {
    this.name.textContent = camera.name;
    this.video.setAttribute('aria-label', `Live video of ${camera.name}`);
    document.title = camera.name;
    this.smoothDelay = null;
    for (const button of this.cameras.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.dataset.id === camera.id));
    }
  }

  /** With one camera there is nothing to choose. */
  showChooser(cameras: readonly Camera[], choose: (camera: Camera) => void): void {
    this.cameras.hidden = cameras.length < 2;
    this.cameras.replaceChildren(
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
    this.setState('waiting', text);
    this.veil.hidden = false;
    this.veil.dataset.state = 'message';
    this.veilText.textContent = text;
    this.veilHint.textContent = hint;
  }

  showStats(stats: Stats): void {
    this.setState(stats.state, stats.label);
    const covered = stats.state === 'waiting' || stats.state === 'reconnecting';
    this.veil.hidden = !covered;
    this.veil.dataset.state = stats.state;
    this.veilText.textContent = stats.label;
    this.veilHint.textContent = '';
    this.goLive.hidden = stats.state !== 'behind' && stats.state !== 'paused';
    this.delay.textContent = this.delayText(stats);
    this.picture.textContent = stats.width ? `${stats.width}×${stats.height}` : '–';
  }

  private delayText({ state, latency }: Stats): string {
    if (latency === null || (state !== 'live' && state !== 'behind')) {
      this.smoothDelay = null;
      return '–';
    }
    const jumped = this.smoothDelay === null || Math.abs(latency - this.smoothDelay) > 1;
    const before = jumped || this.smoothDelay === null ? latency : this.smoothDelay;
    this.smoothDelay = before + DELAY_SMOOTHING * (latency - before);
    return this.smoothDelay < 90 ? `${this.smoothDelay.toFixed(1)} s` : duration(this.smoothDelay);
  }

  private setState(state: Stats['state'], label: string): void {
    // A screen reader hears changes of state, not every counted second.
    if (this.chip.dataset.state !== state || !this.announcer.textContent) this.announcer.textContent = label;
    this.chip.dataset.state = state;
    this.label.textContent = label;
  }
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}
