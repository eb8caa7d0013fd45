// Plays a playlist in players that are not ours, stock hls.js, each in a frame of its own, and looks for stalls.
//
//   node stock.mjs --playlist URL [--seconds 60] [--first-frame 15] [--by-parts] [--over-a-break] NAME=path/to/hls.js[,{"config": ...}] ...
//
// `--by-parts`: from parts, not from whole segments. `--over-a-break`: the stream stands once, and goes on. Exit 0: all played. 1: one did not, with the reasons. 2: it could not be tried.
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { playback } from './judge.mjs';
import { median } from './latency/figures.mjs';
import { lengthOf, watchPauses } from './pauses.mjs';
import { launch, scratchFolder } from './play.mjs';

/** Two segments: a playlist that is taken wrongly stops playback for good or for as long; less is the machine's doing. */
const STALL_MS = 2000;
/** A camera that comes back, what hls.js keeps back, and its second look at the playlist. */
const BREAK_MS = 15_000;
const BREAK_ERRORS = 6;
/** hls.js mends what it tells of, but a playlist that it takes wrongly makes it tell at every segment. */
const MOST_ERRORS = 3;
/** By parts from the box: about a second, and what a busy machine takes. */
const NEAR_S = 2.5;
const NEAR_FOR_MS = 5000;
/** What goes wrong while the machine stands still for so long may be its doing. */
const MACHINE_STOOD_MS = 2000;
const TRIES = 3;

const page = (playlist, config) => `<!doctype html><video id="video" muted></video>
<script src="hls.js"></script><script>
window.seen = { fatal: [], errors: [], parts: 0, fragments: 0, samples: [], runs: [] };
const hls = new Hls(${config});
hls.on(Hls.Events.ERROR, (_, { details, fatal }) => (fatal ? seen.fatal : seen.errors).push(details));
hls.on(Hls.Events.FRAG_LOADED, (_, { part }) => (part ? seen.parts++ : seen.fragments++));
hls.on(Hls.Events.FRAG_CHANGED, (_, { frag: { cc } }) => seen.runs.includes(cc) || seen.runs.push(cc));
hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
hls.loadSource(${JSON.stringify(playlist)});
hls.attachMedia(video);
setInterval(() => seen.samples.push([performance.now(), video.currentTime, hls.latency]), 100);
</script>`;

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      playlist: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      'first-frame': { type: 'string', default: '15' },
      'by-parts': { type: 'boolean', default: false },
      'over-a-break': { type: 'boolean', default: false },
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
    mostErrors: MOST_ERRORS + (values['over-a-break'] ? BREAK_ERRORS : 0),
    stallMs: values['over-a-break'] ? BREAK_MS : STALL_MS,
    brokenS: values['over-a-break'] ? BREAK_MS / 1000 : 0,
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

function faults({ firstFrameMs, playedS, stalls }, { fatal, errors, runs }, wanted) {
  const { seconds, firstFrame, mostErrors, brokenS } = wanted;
  const found = fatal.map((error) => `hls.js gave up: ${error}`);
  if (errors.length > mostErrors) found.push(`hls.js says ${errors.join(', ')}`);
  if (brokenS && runs.length < 2) found.push('there was no break to play over');
  if (firstFrameMs === null) return [...found, 'no frame'];
  if (firstFrameMs > firstFrame * 1000) found.push(`the first frame came after ${firstFrameMs} ms`);
  if (stalls.length) found.push(`stood still for ${stalls.join(', ')} ms`);
  const least = seconds * 0.97 - firstFrame - brokenS;
  if (playedS < least) found.push(`played ${playedS.toFixed(1)} s of ${seconds}`);
  return found;
}

function verdict({ name }, { samples, fatal, errors, runs, parts, fragments }, wanted, pauses) {
  const judged = playback(samples, wanted.stallMs, pauses);
  const wrong = faults(judged, { fatal, errors, runs }, wanted);
  if (wanted.byParts && parts < 3 * fragments)
    wrong.push(`took ${parts} parts and ${fragments} whole segments`);
  const newest = samples.filter(([ms]) => ms > samples.at(-1)[0] - NEAR_FOR_MS);
  const latency = median(newest.map(([, , latency]) => latency));
  if (wanted.byParts && !(latency < NEAR_S)) wrong.push(`${latency} s behind`);
  return { name, ...judged, latency, parts, fragments, errors, faults: wrong };
}

/** All players from the beginning; whether they played, and how long the machine stood still meanwhile. */
async function play(wanted, tab, address) {
  const machine = watchPauses();
  await tab.goto(address);
  // That is what is tested: that nothing goes wrong for so long.
  await sleep(wanted.seconds * 1000);
  let isWell = true;
  for (const [index, player] of wanted.players.entries()) {
    const frame = tab.frame(String(index));
    const seen = await frame.evaluate(() => window.seen);
    const startMs = (await frame.evaluate(() => performance.timeOrigin)) - performance.timeOrigin;
    const pauses = machine.seen().map((pause) => pause.map((ms) => ms - startMs));
    const said = verdict(player, seen, wanted, pauses);
    console.log(JSON.stringify(said));
    isWell &&= !said.faults.length;
  }
  machine.stop();
  return { isWell, stoodMs: lengthOf(machine.seen()) };
}

async function run(wanted, context) {
  const server = await serve(wanted);
  const { port } = server.address();
  try {
    const tab = context.pages()[0] ?? (await context.newPage());
    for (let left = TRIES - 1; ; left -= 1) {
      const { isWell, stoodMs } = await play(wanted, tab, `http://127.0.0.1:${port}/`);
      if (isWell) return;
      // There is one break.
      if (left <= 0 || wanted.brokenS || stoodMs < MACHINE_STOOD_MS) break;
      console.log(`once more, as the machine stood still for ${Math.round(stoodMs)} ms`);
    }
    process.exitCode = 1;
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
