// Between everybody and the store: makes each request as slow as one over a network, counts it, and does the faults.
import { Agent, createServer, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const MEDIA = /\.(ts|m4s|mp4)$/;
/** A part of a segment, or a whole one: each kind has its own count of what is lost. */
const PART = /\/part_[^/]*$/;
/** Of the media objects one in so many is lost, from the tenth on: short runs have one, too. No multiple of the parts of a segment, so
 * that each time another one of them is. */
const LOSE_ONE_IN = 101;
const FIRST_LOST = 10;
const JITTER_ONE_IN = 5;
const JITTER_TIMES = 3;
/** Chunks of a body go over the link one by one. */
const CONTENT_UNCHANGED = ['connection', 'expect', 'keep-alive', 'transfer-encoding'];

export const CALM = { jitter: false, loses: false, uplinkBytesPerS: null, isDown: false };

/** Always the same dice, so that rows can be compared. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export class SlowProxy {
  fault = CALM;
  /** What a row's figures are made of: every request that was answered. */
  log = [];
  #delays = { putMs: 0, getMs: 0 };
  #sockets = new Set();
  #linkFreeMs = 0;
  #put = { part: 0, segment: 0 };
  #dice = dice(1);
  #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  #server;

  /** `upstream`: host and port of the real server. */
  constructor(upstream) {
    this.upstream = upstream;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  async start() {
    this.#server = createServer((asked, answer) => {
      this.#serve(asked, answer).catch(() => asked.socket.destroy());
    });
    // The default is shorter than a long segment.
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on('connection', (socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.fault.isDown) socket.destroy();
    });
    await new Promise((done, failed) => {
      this.#server.once('error', failed);
      this.#server.listen(0, '127.0.0.1', done);
    });
    return this;
  }

  /** For the next row. */
  reset(delays) {
    this.#delays = delays;
    this.#put = { part: 0, segment: 0 };
    this.#dice = dice(1);
    this.#linkFreeMs = 0;
    this.log = [];
    this.set({});
  }

  set(fault) {
    this.fault = { ...CALM, ...fault };
    this.#put = { part: 0, segment: 0 };
    if (this.fault.isDown) for (const socket of this.#sockets) socket.destroy();
  }

  stop() {
    this.#agent.destroy();
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #serve(asked, answer) {
    const [path] = asked.url.split('?');
    const entry = { atMs: Date.now(), method: asked.method, path, isViewers: !asked.headers.authorization };
    const body = await this.#read(asked);
    entry.bytes = body.length;
    const isPut = ['PUT', 'POST', 'DELETE'].includes(asked.method);
    const wait = isPut ? this.#putMs() : this.#delays.getMs;
    // Seen and confirmed at the end of it; what is read is as of half of it.
    entry.waitMs = isPut ? wait : wait / 2;
    entry.readMs = Date.now();
    await sleep(entry.waitMs);
    entry.lateMs = Date.now() - entry.readMs - entry.waitMs;
    entry.isLost = this.#isLost(asked.method, path);
    const got = entry.isLost
      ? { status: 200, headers: { etag: '"lost"' }, body: '' }
      : await this.#ask(asked, body);
    entry.storedMs = Date.now();
    if (!isPut) await sleep(wait / 2);
    if (this.fault.isDown) throw new Error('down');
    entry.status = got.status;
    entry.doneMs = Date.now();
    if (asked.method === 'GET') {
      entry.bytes = got.body.length;
      entry.names = path.endsWith('.m3u8') ? last(got.body.toString()) : null;
    }
    if (asked.method === 'PUT' && path.endsWith('.m3u8')) entry.names = last(body.toString());
    this.log.push(entry);
    answer.writeHead(got.status, got.headers);
    answer.end(got.body);
  }

  #putMs() {
    const { putMs } = this.#delays;
    return this.fault.jitter && this.#dice() < 1 / JITTER_ONE_IN ? JITTER_TIMES * putMs : putMs;
  }

  /** It says that it has it, and has not. */
  #isLost(method, path) {
    if (!this.fault.loses || method !== 'PUT' || !MEDIA.test(path) || /\/init[_.]/.test(path)) return false;
    const kind = PART.test(path) ? 'part' : 'segment';
    this.#put[kind] += 1;
    return this.#put[kind] % LOSE_ONE_IN === FIRST_LOST;
  }

  /** All that is sent to the store shares the uplink; viewers have their own line. */
  async #read(asked) {
    const chunks = [];
    for await (const chunk of asked) {
      chunks.push(chunk);
      const { uplinkBytesPerS } = this.fault;
      if (!uplinkBytesPerS) continue;
      const nowMs = Date.now();
      this.#linkFreeMs = Math.max(nowMs, this.#linkFreeMs) + (1000 * chunk.length) / uplinkBytesPerS;
      await sleep(this.#linkFreeMs - nowMs);
    }
    return Buffer.concat(chunks);
  }

  /** `Host` goes through unchanged: the signature covers it. */
  #ask(asked, body) {
    const headers = Object.fromEntries(
      Object.entries(asked.headers).filter(([name]) => !CONTENT_UNCHANGED.includes(name)),
    );
    if (body.length) headers['content-length'] = String(body.length);
    const { hostname, port } = new URL(this.upstream);
    const options = { hostname, port, method: asked.method, path: asked.url, headers, agent: this.#agent };
    return new Promise((done, failed) => {
      const sent = request(options, (got) => {
        const chunks = [];
        got.on('data', (chunk) => chunks.push(chunk));
        got.on('error', failed);
        got.on('end', () => {
          const { connection: _, 'transfer-encoding': __, ...kept } = got.headers;
          done({ status: got.statusCode, headers: kept, body: Buffer.concat(chunks) });
        });
      });
      sent.on('error', failed);
      sent.end(body);
    });
  }
}

/** The newest object that a playlist names. */
function last(playlist) {
  const lines = playlist.split('\n').map((line) => /^#EXT-X-PART:.*URI="([^"]+)"/.exec(line)?.[1] ?? line);
  return lines.filter((line) => line && !line.startsWith('#')).at(-1) ?? null;
}
