// The real parts: MinIO, the camera, the agent. Each ends with this process, whatever ends it.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makePublicBucket } from './s3.mjs';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const BUCKET = 'streams';
const READY_WITHIN_MS = 60_000;
const GONE_WITHIN_MS = 30_000;
const POLL_MS = 50;
const LOG_TAIL = 12;

/** What was started and has not ended. */
const running = new Set();

export async function until(words, withinMs, isSo) {
  const from = performance.now();
  let last = null;
  while (performance.now() - from < withinMs) {
    try {
      const found = await isSo();
      if (found) return found;
    } catch (error) {
      if (error.isFinal) throw error;
      last = error;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`no ${words} within ${withinMs / 1000} s${last ? ` (${last.message})` : ''}`);
}

export function final(message) {
  return Object.assign(new Error(message), { isFinal: true });
}

class Part {
  constructor(name, log, command, args, env) {
    this.name = name;
    this.log = log;
    // Even if this process is killed with SIGKILL.
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // Ctrl-C is for this process, which ends them in order.
      detached: true,
    });
    this.ended = new Promise((done) => {
      this.child.once('exit', (code, signal) => done({ code, signal }));
      this.child.once('error', (error) => done({ code: 127, error }));
    });
    const file = createWriteStream(log, { flags: 'a' });
    this.output = '';
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (chunk) => {
        this.output = (this.output + chunk).slice(-20_000);
        file.write(chunk);
      });
    }
    this.child.stdin.on('error', () => undefined);
    running.add(this);
    this.ended.then(() => {
      this.isOver = true;
      file.end();
      running.delete(this);
    });
  }

  assertRuns() {
    if (!this.isOver) return;
    const tail = this.output.trim().split('\n').slice(-LOG_TAIL).join('\n');
    throw final(`${this.name} ended by itself:\n${tail}`);
  }

  signal(name) {
    if (!this.isOver) this.child.kill(name);
  }

  /** `SIGTERM`, and the end of its input; killed when that does not help. */
  async stop() {
    this.child.stdin.end();
    this.signal('SIGTERM');
    await this.gone();
  }

  async gone() {
    const timer = setTimeout(() => this.signal('SIGKILL'), GONE_WITHIN_MS);
    const ended = await this.ended;
    clearTimeout(timer);
    return ended;
  }

  async kill() {
    this.signal('SIGKILL');
    await this.ended;
  }
}

/** The last one first: an agent without its store would wait for it. */
export async function stopAll() {
  for (const part of [...running].reverse()) await part.stop();
}

function find(name, variable, ...more) {
  const folders = [...process.env.PATH.split(delimiter), ...more];
  const paths = [process.env[variable], ...folders.map((folder) => join(folder, name))].filter(Boolean);
  for (const path of paths) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error(`no ${name}: run packaging/setup.sh test, or set ${variable} to its path`);
}

export function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

export async function startMinio(folder) {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const keys = { accessKey: randomBytes(8).toString('hex'), secretKey: randomBytes(16).toString('hex') };
  const binary = find('minio', 'EDGE_AGENT_TEST_MINIO', join(process.env.HOME ?? '/root', 'go/bin'));
  const args = ['server', '--quiet', '--address', `127.0.0.1:${port}`, join(folder, 'minio')];
  const part = new Part('MinIO', join(folder, 'minio.log'), binary, args, {
    HOME: folder,
    MINIO_ROOT_USER: keys.accessKey,
    MINIO_ROOT_PASSWORD: keys.secretKey,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    MINIO_CALLHOME_ENABLE: 'off',
  });
  await until('MinIO', READY_WITHIN_MS, async () => {
    part.assertRuns();
    await makePublicBucket(endpoint, BUCKET, keys);
    return true;
  });
  return { endpoint, keys, part };
}

export class ClockCamera {
  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
  }

  url(hasSound) {
    return `rtsp://127.0.0.1:${this.port}/${hasSound ? 'sound' : 'cam1'}`;
  }

  async start() {
    // Debian's own: the GStreamer bindings belong to it.
    const args = ['-B', join(ROOT, 'tests/support/clock_camera.py'), `--port=${this.port}`];
    this.part = new Part('the camera', join(this.folder, 'camera.log'), '/usr/bin/python3', args, {});
    await until('camera', READY_WITHIN_MS, () => {
      this.part.assertRuns();
      return this.part.output.includes('READY');
    });
    return this;
  }

  /** What its own encoder took, in its words. */
  async stop() {
    this.part.child.stdin.end();
    await this.part.gone();
    return /ENCODED.*/.exec(this.part.output)?.[0] ?? null;
  }
}

/** In a folder of its own; started as often as wanted. */
export class AgentPlace {
  constructor(folder, { profile, settings, store, proxyUrl, cameraUrl, id, isNear }) {
    this.folder = folder;
    this.id = id;
    this.store = store;
    this.isNear = isNear;
    this.playlistUrl = `${proxyUrl}/${BUCKET}/location_1/${id}/stream.m3u8`;
    this.directUrl = `${store.endpoint}/${BUCKET}/location_1/${id}/stream.m3u8`;
    this.yaml = (port) => `location: location_1
spool: ${join(folder, 'spool')}
storage: {type: s3, bucket: ${BUCKET}, endpoint: "${proxyUrl}"}
http: {listen: "127.0.0.1:${port}"}
defaults:
  settings: {profile: ${profile}${settings ? `, ${settings}` : ''}}
cameras:
  - {id: ${id}, rtsp_url: "${cameraUrl}"}
`;
  }

  async start() {
    mkdirSync(join(this.folder, 'spool'), { recursive: true, mode: 0o700 });
    this.port ??= await freePort();
    const config = join(this.folder, 'cameras.yaml');
    writeFileSync(config, this.yaml(this.port));
    const binary = process.env.LATENCY_AGENT || join(ROOT, 'target/release/edge-agent');
    this.part = new Part('the agent', join(this.folder, 'agent.log'), binary, ['--config', config], {
      HOME: this.folder,
      TMPDIR: this.folder,
      AWS_ACCESS_KEY_ID: this.store.keys.accessKey,
      AWS_SECRET_ACCESS_KEY: this.store.keys.secretKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    });
  }

  get page() {
    const url = new URL(`http://127.0.0.1:${this.port}/`);
    if (this.isNear) url.searchParams.set('camera', this.id);
    else url.searchParams.set('src', this.playlistUrl);
    return url.href;
  }

  /** A first viewer would find a playlist with some past, and the page. */
  async isPlayable(withinMs) {
    await until(`stream of ${this.id}`, withinMs, async () => {
      this.part.assertRuns();
      const [playlist, page] = await Promise.all([fetch(this.directUrl), fetch(this.page)]);
      const text = playlist.ok ? await playlist.text() : '';
      await page.text();
      return page.ok && (text.match(/^#EXTINF/gm)?.length ?? 0) >= 3;
    });
  }

  log() {
    return readFileSync(join(this.folder, 'agent.log'), 'utf8');
  }
}
