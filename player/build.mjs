// `node build.mjs` makes dist/, a folder that any web server can serve; `--tests` bundles test/ for node.
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(dirname(fileURLToPath(import.meta.url)));

async function page() {
  await rm('dist', { recursive: true, force: true });
  await mkdir('dist/assets', { recursive: true });
  await build({
    entryPoints: { player: 'src/main.ts' },
    outdir: 'dist/assets',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2021'],
    legalComments: 'eof',
    logLevel: 'warning',
  });
  await build({
    entryPoints: { player: 'src/player.css' },
    outdir: 'dist/assets',
    bundle: true,
    minify: true,
    logLevel: 'warning',
  });
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
    entryPoints: files.map((name) => `test/${name}`),
    outdir,
    bundle: true,
    format: 'esm',
    // Node 18 takes no .js in node_modules for an ES module.
    outExtension: { '.js': '.mjs' },
    platform: 'node',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}

await (process.argv.includes('--tests') ? tests() : page());
