// What is in the element's shadow: how things look and are called, not why.
import style from './element.css';
import type { Stats } from './stats.ts';
import { duration } from './status.ts';

/** Fast enough to be seen as smooth work, slow enough that a number can be read. */
const DELAY_SMOOTHING = 0.3;

const MARKUP = `
<video part="video" playsinline></video>
<div class="veil" part="veil"><span class="spinner" aria-hidden="true"></span><p class="text"></p><p class="hint"></p></div>
<div class="top" part="top">
  <p class="chip" part="state"><span class="dot"></span><span class="label"></span></p>
  <button type="button" class="go-live" part="go-live" hidden>Go live</button>
  <span class="gap"></span>
  <button type="button" class="toggle" part="stats-button" aria-expanded="false" aria-controls="stats">Stats</button>
</div>
<dl class="stats" id="stats" part="stats" hidden></dl>
<p class="unseen" role="status"></p>`;

export interface Actions {
  goLive(): void;
  toggleStats(): void;
}

export class Face {
  readonly video: HTMLVideoElement;
  private readonly chip: HTMLElement;
  private readonly label: HTMLElement;
  private readonly veil: HTMLElement;
  private readonly text: HTMLElement;
  private readonly hint: HTMLElement;
  private readonly goLive: HTMLElement;
  private readonly toggle: HTMLElement;
  private readonly panel: HTMLElement;
  private readonly announcer: HTMLElement;
  private smoothDelay: number | null = null;

  constructor(
    private readonly root: ShadowRoot,
    actions: Actions,
  ) {
    dress(root);
    const template = document.createElement('template');
    template.innerHTML = MARKUP;
    root.append(template.content);
    this.video = this.find('video');
    this.chip = this.find('.chip');
    this.label = this.find('.label');
    this.veil = this.find('.veil');
    this.text = this.find('.text');
    this.hint = this.find('.hint');
    this.goLive = this.find('.go-live');
    this.toggle = this.find('.toggle');
    this.panel = this.find('.stats');
    this.announcer = this.find('.unseen');
    this.goLive.addEventListener('click', () => {
      // The button goes: its keys would go nowhere.
      this.video.focus({ preventScroll: true });
      actions.goLive();
    });
    this.toggle.addEventListener('click', actions.toggleStats);
  }

  /** Instead of a picture: there is nothing to play, and why. */
  showMessage(text: string, hint = ''): void {
    this.setState('message', text);
    this.cover('message', text, hint);
    this.goLive.hidden = true;
  }

  showStats(stats: Stats): void {
    this.setState(stats.state, stats.label);
    const covered = ['waiting', 'reconnecting', 'offline', 'unplayable'].includes(stats.state);
    if (covered) this.cover(stats.state, stats.label, hintOf(stats));
    else this.veil.hidden = true;
    this.goLive.hidden = !['behind', 'paused', 'ended'].includes(stats.state);
    if (!this.panel.hidden) this.fill(stats);
    this.smooth(stats);
  }

  /** The button stays where the panel may be opened. */
  showPanel(isOpen: boolean, mayToggle: boolean): void {
    this.panel.hidden = !isOpen;
    this.toggle.hidden = !mayToggle;
    this.toggle.setAttribute('aria-expanded', String(isOpen));
  }

  /** Of many players on a page, not each should speak. */
  set quiet(isQuiet: boolean) {
    if (isQuiet) this.announcer.removeAttribute('role');
    else this.announcer.setAttribute('role', 'status');
  }

  private cover(state: string, text: string, hint: string): void {
    this.veil.hidden = false;
    this.veil.dataset.state = state;
    set(this.text, text);
    set(this.hint, hint);
  }

  private fill(stats: Stats): void {
    const rows = panelRows(stats, this.smoothDelay);
    if (this.panel.children.length !== rows.length * 2) {
      this.panel.replaceChildren(
        ...rows.flatMap(([name]) => {
          const term = document.createElement('dt');
          term.textContent = name;
          return [term, document.createElement('dd')];
        }),
      );
    }
    for (const [at, [, value]] of rows.entries()) {
      const cell = this.panel.children[at * 2 + 1];
      if (cell) set(cell, value);
    }
  }

  private smooth({ state, latency }: Stats): void {
    if (latency === null || (state !== 'live' && state !== 'behind')) {
      this.smoothDelay = null;
      return;
    }
    const before = this.smoothDelay;
    const jumped = before === null || Math.abs(latency - before) > 1;
    this.smoothDelay = jumped ? latency : before + DELAY_SMOOTHING * (latency - before);
  }

  private setState(state: string, label: string): void {
    // A screen reader hears changes of state, not every counted second.
    if (this.chip.dataset.state !== state || !this.announcer.textContent) set(this.announcer, label);
    this.chip.dataset.state = state;
    set(this.label, label);
  }

  private find<T extends HTMLElement>(selector: string): T {
    const found = this.root.querySelector<T>(selector);
    if (!found) throw new Error(`no ${selector}`);
    return found;
  }
}

function hintOf({ state, reason }: Stats): string {
  return state === 'unplayable'
    ? 'Another browser may play it. It is tried again now and then.'
    : (reason ?? '');
}

export function panelRows(stats: Stats, delay: number | null): [string, string][] {
  const { width, height, framesDropped, framesPresented } = stats;
  return [
    ['Latency', delay === null ? '–' : delay < 90 ? `${delay.toFixed(1)} s` : duration(delay)],
    ['Buffer', `${stats.buffer.toFixed(1)} s`],
    ['Bitrate', stats.bitrateKbps === null ? '–' : `${Math.round(stats.bitrateKbps)} kbit/s`],
    ['Picture', width ? `${width}×${height}` : '–'],
    ['Tempo', `${Math.round(stats.playbackRate * 100)} %`],
    ['Dropped frames', `${framesDropped} of ${framesDropped + framesPresented}`],
    ['Stalls', String(stats.stalls)],
    ...(stats.partsLost === null ? [] : [['Parts lost', String(stats.partsLost)] as [string, string]]),
    ['Requests', requestsText(stats)],
    ['By', stats.protocol ?? '–'],
  ];
}

function requestsText(stats: Stats): string {
  const { requests, failedRequests, requestsInVain, requestsPerSecond } = stats;
  const rate = requestsPerSecond === null ? [] : [`${requestsPerSecond.toFixed(1)} per s`];
  const vain = requestsInVain ? [`${requestsInVain} in vain`] : [];
  const failed = failedRequests ? [`${failedRequests} failed`] : [];
  return [String(requests), ...rate, ...vain, ...failed].join(', ');
}

/** Only what changes: a screen reader may be in the middle of it. */
function set(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

let sheet: CSSStyleSheet | null = null;

/** As a sheet of its own, which also pages with a strict policy for styles take. */
function dress(root: ShadowRoot): void {
  if ('adoptedStyleSheets' in root && 'replaceSync' in CSSStyleSheet.prototype) {
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(style);
    }
    root.adoptedStyleSheets = [sheet];
    return;
  }
  const element = document.createElement('style');
  element.textContent = style;
  root.append(element);
}
