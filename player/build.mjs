// `node build.mjs` makes dist/, a folder that any web server can serve; `--tests` bundles test/ for node.
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

process.chdir(dirname(fileURLToPath(import.meta.url)));

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
  await rm('dist', { recursive: true, force: true });
  await mkdir('dist/assets', { recursive: true });
  const script = {
    ...COMMON,
    outdir: 'dist/assets',
    minify: true,
    target: ['es2021'],
    legalComments: 'eof',
  };
  await build({ ...script, entryPoints: { 'edge-player': 'src/edge-player.ts' }, plugins: [styleAsText] });
  await build({ ...script, entryPoints: { player: 'src/main.ts' }, plugins: [elementApart] });
  await build({ ...script, entryPoints: { player: 'src/player.css' } });
  await copyFile('src/icon.svg', 'dist/assets/icon.svg');
  const hls = dirname(createRequire(import.meta.url).resolve('hls.js/package.json'));
  await copyFile(join(hls, 'dist/hls.worker.js'), 'dist/assets/hls.worker.js');
  // Last: whoever sees index.html sees a whole folder.
  await copyFile('src/index.html', 'dist/index.html');
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
