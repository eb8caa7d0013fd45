// `node build.mjs` makes dist/, a folder that any web server can serve; `--tests` bundles test/ for node.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

process.chdir(dirname(fileURLToPath(import.meta.url)));

const FRESH = '.dist';
const COMMON = { bundle: true, format: 'esm', logLevel: 'warning' };

/** The element's style is a text in its script. */
const styleAsText = {
  name: 'style-as-text',
  setup({ onLoad }) {
    onLoad({ filter: /element\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, 'utf8'), { loader: 'css', minify: true });
      return { contents: code, loader: 'text' };
    });
  },
};

/** The page takes the element from the same file as everybody else. */
const elementApart = {
  name: 'element-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/edge-player\.ts$/ }, () => ({ path: './edge-player.js', external: true }));
  },
};

async function page() {
  await rm(FRESH, { recursive: true, force: true });
  await mkdir(join(FRESH, 'assets'), { recursive: true });
  const script = {
    ...COMMON,
    outdir: join(FRESH, 'assets'),
    minify: true,
    target: ['es2021'],
    legalComments: 'eof',
  };
  await build({ ...script, entryPoints: { 'edge-player': 'src/edge-player.ts' }, plugins: [styleAsText] });
  await build({ ...script, entryPoints: { player: 'src/main.ts' }, plugins: [elementApart] });
  await build({ ...script, entryPoints: { player: 'src/player.css' } });
  await copyFile('src/icon.svg', join(FRESH, 'assets/icon.svg'));
  const hls = dirname(createRequire(import.meta.url).resolve('hls.js/package.json'));
  await copyFile(join(hls, 'dist/hls.worker.js'), join(FRESH, 'assets/hls.worker.js'));
  await copyFile('src/index.html', join(FRESH, 'index.html'));
  await replace('dist', FRESH);
}

/** A folder of the same bytes stays as it is: the agent is built anew where this one is. */
async function replace(folder, fresh) {
  if ((await digest(folder).catch(() => null)) === (await digest(fresh))) {
    await rm(fresh, { recursive: true });
    return;
  }
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
}

async function digest(folder) {
  const hash = createHash('sha256');
  for (const part of ['.', 'assets']) {
    const names = await readdir(join(folder, part)).catch(() => []);
    for (const name of names.filter((name) => name !== 'assets').sort()) {
      hash.update(`${join(part, name)}\n`).update(await readFile(join(folder, part, name)));
    }
  }
  return hash.digest('hex');
}

async function tests() {
  const outdir = 'node_modules/.cache/tests';
  await rm(outdir, { recursive: true, force: true });
  const files = (await readdir('test')).filter((name) => name.endsWith('.test.ts'));
  await build({
    ...COMMON,
    entryPoints: files.map((name) => `test/${name}`),
    outdir,
    // Node 18 takes no .js in node_modules for an ES module.
    outExtension: { '.js': '.mjs' },
    platform: 'node',
    sourcemap: 'inline',
    plugins: [styleAsText],
  });
}

await (process.argv.includes('--tests') ? tests() : page());
