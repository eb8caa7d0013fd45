// Figures as tables and charts. Pure but for the writing.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAULTS, missed } from './rows.mjs';

/** A proxy that is later than that is a slower store than it is to be. */
const BUSY_S = 0.02;
const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';

const dash = (value, digits = 2) => (value === null || value === undefined ? '–' : value.toFixed(digits));
const line = (cells) => `| ${cells.join(' | ')} |\n`;
const head = (...cells) => line(cells) + line(cells.map(() => '---'));
/** An error has no bars nor lines of its own. */
const short = (text) => text.replace(/\s+/g, ' ').replaceAll('|', '/').slice(0, 200);

function verdict(row) {
  const misses = missed(row.targets, row);
  if (misses === null) return 'none set';
  return misses.length ? `missed: ${misses.join(', ')}` : 'met';
}

/** Of a row without a store between. */
const putOf = ({ putMs, hasSound, isHeard }) => {
  const sound = isHeard ? ', sound on' : ', with sound';
  return `${putMs ? `${putMs} ms` : 'from the box'}${hasSound ? sound : ''}`;
};

const stalled = ({ stalls, stallSeconds, settlingStalls }) => {
  const before = settlingStalls ? `, ${settlingStalls} while it found its place` : '';
  return `${stalls ? `${stalls} (${dash(stallSeconds, 1)} s)` : '0'}${before}`;
};

function plainTable(rows) {
  let text = head(
    'profile',
    'PUT',
    'median',
    'p95',
    'the player says',
    'stalls',
    'first picture',
    'PUT/s',
    'GET/s',
    'targets',
  );
  for (const row of rows) {
    const name = [`\`${row.profile}\``, putOf(row)];
    if (row.error) {
      text += line([...name, `error: ${short(row.error)}`, '', '', '', '', '', '', 'missed']);
      continue;
    }
    const figures = [row.median, row.p95].map((value) => `${dash(value)} s`);
    const first = `${dash(row.firstPicture)} s (${dash(Math.max(...row.firstPictures))})`;
    text += line([
      ...name,
      ...figures,
      `${dash(row.player?.shown)} s`,
      stalled(row),
      first,
      dash(row.putPerS, 1),
      // The box is asked directly: nobody counts that.
      row.putMs ? dash(row.getPerS, 1) : '–',
      verdict(row),
    ]);
  }
  return text;
}

function makeUpTable(rows) {
  let text = head(
    'profile',
    'PUT',
    'segment or part',
    'lens to buffer',
    'upload',
    'listed',
    'seen',
    'fetched',
    'ahead',
    'rate',
  );
  for (const row of rows) {
    if (!row.makeUp) continue;
    const { step, age, upload, listed, told, fetched, ahead, rate } = row.makeUp;
    const cells = [step, age, upload, listed, told, fetched, ahead].map((value) => dash(value));
    text += line([`\`${row.profile}\``, putOf(row), ...cells, dash(rate, 3)]);
  }
  return text;
}

const faultOf = ({ fault, hasSound }) => `${FAULTS[fault].words}${hasSound ? ', with sound' : ''}`;

/** Of older rows it may not be known. */
function backOf({ backToLive, behindSeconds }) {
  if (behindSeconds === undefined) return backToLive ? `${dash(backToLive, 1)} s` : '–';
  return backToLive === null ? `not within ${dash(behindSeconds, 0)} s` : `${dash(backToLive, 1)} s`;
}

function faultTable(rows) {
  let text = head(
    'profile',
    'what goes wrong',
    'before',
    'median',
    'p95',
    'stalls',
    'without new picture',
    'live again after',
  );
  for (const row of rows) {
    const name = [`\`${row.profile}\``, faultOf(row)];
    if (row.error) {
      text += line([...name, `error: ${short(row.error)}`, '', '', '', '', '']);
      continue;
    }
    const seconds = [row.before, row.median, row.p95].map((value) => `${dash(value)} s`);
    text += line([...name, ...seconds, row.stalls, `${dash(row.stallSeconds, 1)} s`, backOf(row)]);
  }
  return text;
}

/** Rows of several runs may differ. */
function secondsOf(rows) {
  const all = [...new Set(rows.map(({ seconds }) => seconds))].sort((a, b) => a - b);
  return `${all.join(', ')} s each`;
}

export function markdownOf(results) {
  const plain = results.filter(({ fault }) => fault === null);
  const faulty = results.filter(({ fault }) => fault !== null);
  let text = '';
  if (plain.length) {
    text += `${secondsOf(plain)}; first picture: median of nine visits (the slowest).\n\n${plainTable(plain)}`;
    const late = Math.max(0, ...plain.map(({ rigLate }) => rigLate ?? 0));
    if (late > BUSY_S) {
      text += `\nThe machine was too busy: in a row the proxy was ${dash(1000 * late, 0)} ms late (95th percentile).\n`;
    }
    if (plain.some(({ makeUp }) => makeUp))
      text += `\nWhat the delay is made of, in seconds:\n\n${makeUpTable(plain)}`;
  }
  if (faulty.length) {
    text += `${plain.length ? '\n' : ''}Faults, PUT ${faulty[0].putMs} ms, ${secondsOf(faulty)}:\n\n${faultTable(faulty)}`;
  }
  return text;
}

// --- charts ------------------------------------------------------------------------------------------------

const STYLE =
  'text{font:13px sans-serif;fill:#1f2328}.s{font-size:11px;fill:#59636e}.g{stroke:#d1d9e0;stroke-width:1}' +
  '.m{fill:#2563a8}.p{stroke:#1f2328;stroke-width:2}.t{stroke:#c2410c;stroke-width:2;stroke-dasharray:4 2}' +
  '.c{fill:none;stroke:#2563a8;stroke-width:1.5}.f{fill:#c2410c;opacity:.15}';
const escaped = (text) =>
  String(text).replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]);

function svg(width, height, title, inner) {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">` +
    `<title>${escaped(title)}</title><style>${STYLE}</style><rect width="${width}" height="${height}" fill="#fff"/>${inner}</svg>\n`
  );
}

const text = (x, y, words, extra = '') => `<text x="${x}" y="${y}" ${extra}>${escaped(words)}</text>`;
const stroke = (kind, x1, y1, x2, y2) =>
  `<line class="${kind}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;

/** Steps of an axis: about five, round. */
export function ticks(most) {
  const raw = most / 5;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= raw);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) =>
    Number((i * step).toPrecision(6)),
  );
}

const [BAR, LEFT, PLOT, RIGHT, TOP] = [30, 190, 520, 130, 44];

/** A bar is the median, the line behind it the 95th percentile, the dashed one the target of the median. */
export function barChart(rows) {
  const most = 1.05 * Math.max(1, ...rows.flatMap(({ p95, targets }) => [p95 ?? 0, targets.median ?? 0]));
  const at = (seconds) => LEFT + (PLOT * seconds) / most;
  const bottom = TOP + BAR * rows.length;
  let inner = text(
    16,
    24,
    'Lens to screen, seconds: median (bar), 95th percentile (line), target of the median (dashed)',
  );
  for (const tick of ticks(most)) {
    inner +=
      stroke('g', at(tick), TOP, at(tick), bottom) +
      text(at(tick), bottom + 16, tick, 'class="s" text-anchor="middle"');
  }
  rows.forEach((row, i) => {
    const y = TOP + BAR * i;
    inner += text(
      LEFT - 10,
      y + 19,
      `${row.profile}, ${row.putMs ? 'PUT ' : ''}${putOf(row)}`,
      'text-anchor="end"',
    );
    if (row.error) {
      inner += text(LEFT + 6, y + 19, 'no figures: see the table', 'class="s"');
      return;
    }
    inner += `<rect class="m" x="${LEFT}" y="${y + 7}" width="${Math.max(0, at(row.median) - LEFT)}" height="16"/>`;
    inner += stroke('p', at(row.p95), y + 4, at(row.p95), y + 26);
    if (row.targets.median)
      inner += stroke('t', at(row.targets.median), y + 2, at(row.targets.median), y + 28);
    const ends = at(Math.max(row.p95, row.targets.median ?? 0)) + 8;
    inner += text(ends, y + 19, `${dash(row.median)} / ${dash(row.p95)} s`, 'class="s"');
  });
  return svg(LEFT + PLOT + RIGHT, bottom + 28, 'Delay from lens to screen', inner);
}

const [PANEL, GAP, WIDE] = [90, 44, 700];

/** How old the picture on the screen is, over the time; the shade is as long as the fault goes on. */
export function curveChart(rows) {
  let inner = text(
    16,
    24,
    'Age of the picture on the screen, seconds, over the time from the beginning of the fault (shaded)',
  );
  rows.forEach((row, i) => {
    const top = TOP + 16 + i * (PANEL + GAP);
    const bottom = top + PANEL;
    inner += text(60, top - 6, `${row.profile}: ${faultOf(row)}`);
    const { curve = [] } = row;
    if (row.error || curve.length < 2) {
      inner += text(66, top + 20, 'no figures: see the table', 'class="s"');
      return;
    }
    const [from, to] = [curve[0][0], curve.at(-1)[0]];
    const most = (1.1 * Math.max(...curve.map(([, age]) => age))) / 1000;
    const x = (ms) => Math.round((60 + (WIDE * (ms - from)) / (to - from)) * 10) / 10;
    const y = (ms) => Math.round((bottom - (PANEL * Math.max(0, ms)) / 1000 / most) * 10) / 10;
    for (const tick of ticks(most)) {
      inner +=
        stroke('g', 60, y(1000 * tick), 60 + WIDE, y(1000 * tick)) +
        text(54, y(1000 * tick) + 4, tick, 'class="s" text-anchor="end"');
    }
    const over = x(row.overAtMs ?? to);
    inner += `<rect class="f" x="${x(0)}" y="${top}" width="${Math.max(2, over - x(0))}" height="${PANEL}"/>`;
    inner += `<polyline class="c" points="${curve.map(([at, age]) => `${x(at)},${y(age)}`).join(' ')}"/>`;
    for (let second = Math.ceil(from / 10_000) * 10; second * 1000 <= to; second += 10) {
      inner += text(x(1000 * second), bottom + 15, second, 'class="s" text-anchor="middle"');
    }
  });
  return svg(
    60 + WIDE + 30,
    TOP + 16 + rows.length * (PANEL + GAP),
    'Delay while something goes wrong',
    inner,
  );
}

export function writeReport(folder, results) {
  const markdown = markdownOf(results);
  writeFileSync(join(folder, 'latency.md'), markdown);
  writeFileSync(join(folder, 'latency.svg'), barChart(results.filter(({ fault }) => fault === null)));
  writeFileSync(
    join(folder, 'latency-faults.svg'),
    curveChart(results.filter(({ fault }) => fault !== null)),
  );
  return { markdown };
}

/** In place of the tables and charts of the last time. */
export function intoDocs(docs, artifacts, results) {
  const page = join(docs, 'latency.md');
  writeFileSync(page, replaced(readFileSync(page, 'utf8'), markdownOf(results)));
  for (const name of ['latency.svg', 'latency-faults.svg'])
    copyFileSync(join(artifacts, name), join(docs, name));
}

export function replaced(page, markdown) {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the page has no ${BEGIN} and ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${markdown}\n${page.slice(to)}`;
}
