// Plays a playlist in players that are not ours, stock hls.js, each in a frame of its own, and looks for stalls.
//
//   node stock.mjs --playlist URL [--seconds 60] [--first-frame 15] [--by-parts] NAME=path/to/hls.js[,{"config": ...}] ...
//
// `--by-parts`: from parts, not from whole segments. Exit 0: all played. 1: one did not, with the reasons. 2: it could not be tried.
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launch, scratchFolder } from './play.mjs';

/** Two segments: a playlist that is taken wrongly stops playback for good or for as long; less is the machine's doing. */
const STALL_MS = 2000;
/** hls.js mends what it tells of, but a playlist that it takes wrongly makes it tell at every segment. */
const MOST_ERRORS = 3;
/** By parts from the box: about a second, and what a busy machine takes. */
const NEAR_S = 2.5;

const page = (playlist, config) => `<!doctype html><video id="video" muted></video>
<script src="hls.js"></script><script>
window.seen = { fatal: [], errors: [], parts: 0, fragments: 0, samples: [] };
const hls = new Hls(${config});
hls.on(Hls.Events.ERROR, (_, { details, fatal }) => (fatal ? seen.fatal : seen.errors).push(details));
hls.on(Hls.Events.FRAG_LOADED, (_, { part }) => (part ? seen.parts++ : seen.fragments++));
hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
hls.loadSource(${JSON.stringify(playlist)});
hls.attachMedia(video);
setInterval(() => {
  seen.samples.push([performance.now(), video.currentTime]);
  seen.latency = hls.latency;
}, 100);
</script>`;

/** What the samples say from the first frame on. */
export function judge(samples) {
  const at = samples.findIndex(([, time]) => time > 0);
  if (at < 0) return { firstFrameMs: null, playedS: 0, stalls: [] };
  const [first, last] = [samples[at], samples.at(-1)];
  const stalls = [];
  let moved = first;
  for (const sample of samples.slice(at + 1)) {
    if (sample[1] <= moved[1] && sample !== last) continue;
    if (sample[0] - moved[0] > STALL_MS) stalls.push(Math.round(sample[0] - moved[0]));
    moved = sample;
  }
  return { firstFrameMs: Math.round(first[0]), playedS: last[1] - first[1], stalls };
}

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      playlist: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      'first-frame': { type: 'string', default: '15' },
      'by-parts': { type: 'boolean', default: false },
    },
  });
  const players = positionals.map((text) => {
    const [, name, path, config = '{}'] = /^([^=]+)=([^,]+)(?:,(.*))?$/s.exec(text) ?? [];
    return { name, script: readFileSync(path), config };
  });
  if (!values.playlist || !players.length) throw new Error('--playlist and a player are needed');
  return {
    playlist: values.playlist,
    seconds: Number(values.seconds),
    firstFrame: Number(values['first-frame']),
    byParts: values['by-parts'],
    players,
  };
}

function serve({ playlist, players }) {
  const server = createServer((request, response) => {
    const [, index, file] = /^\/(\d+)\/(.*)$/.exec(request.url) ?? [];
    const player = players[Number(index)];
    const isScript = file === 'hls.js';
    if (request.url === '/') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(players.map((_, index) => `<iframe src="/${index}/" name="${index}"></iframe>`).join(''));
      return;
    }
    response.statusCode = player && (isScript || file === '') ? 200 : 404;
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(response.statusCode === 404 ? '' : isScript ? player.script : page(playlist, player.config));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function faults({ firstFrameMs, playedS, stalls }, { fatal, errors }, { seconds, firstFrame }) {
  const found = fatal.map((error) => `hls.js gave up: ${error}`);
  if (errors.length > MOST_ERRORS) found.push(`hls.js says ${errors.join(', ')}`);
  if (firstFrameMs === null) return [...found, 'no frame'];
  if (firstFrameMs > firstFrame * 1000) found.push(`the first frame came after ${firstFrameMs} ms`);
  if (stalls.length) found.push(`stood still for ${stalls.join(', ')} ms`);
  const least = seconds * 0.97 - firstFrame;
  if (playedS < least) found.push(`played ${playedS.toFixed(1)} s of ${seconds}`);
  return found;
}

async function run(wanted, context) {
  const server = await serve(wanted);
  const { port } = server.address();
  try {
    const tab = context.pages()[0] ?? (await context.newPage());
    await tab.goto(`http://127.0.0.1:${port}/`);
    // That is what is tested: that nothing goes wrong for so long.
    await sleep(wanted.seconds * 1000);
    for (const [index, { name }] of wanted.players.entries()) {
      const { samples, fatal, errors, parts, fragments, latency } = await tab
        .frame(String(index))
        .evaluate(() => window.seen);
      const judged = judge(samples);
      const wrong = faults(judged, { fatal, errors }, wanted);
      if (wanted.byParts && parts < 3 * fragments)
        wrong.push(`took ${parts} parts and ${fragments} whole segments`);
      if (wanted.byParts && !(latency < NEAR_S)) wrong.push(`${latency} s behind`);
      console.log(JSON.stringify({ name, ...judged, latency, parts, fragments, errors, faults: wrong }));
      if (wrong.length) process.exitCode = 1;
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function main() {
  const wanted = options();
  const profile = scratchFolder();
  try {
    const context = await launch(profile, { width: 640, height: 360 });
    try {
      await run(wanted, context);
    } finally {
      await context.close();
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`stock: ${error.message}`);
  process.exitCode = 2;
});
