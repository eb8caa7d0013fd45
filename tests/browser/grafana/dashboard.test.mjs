// The dashboard that is shipped, against the schema that Grafana publishes: an option that it doesn't know, or a
// value that it doesn't take, is found here and not by whoever imports it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const shipped = readFileSync(at('../../../packaging/grafana/edge-agent.json'), 'utf8');

/** What the compiler says of a dashboard. Only an object that is written out is held to its properties. */
function check(json, schema) {
  const folder = mkdtempSync(join(tmpdir(), 'edge-agent-dashboard-'));
  try {
    const shapes = JSON.stringify(at('shapes.ts'));
    const source = `import type { Dashboard } from ${shapes};\nexport const dashboard: Dashboard = ${json};\n`;
    writeFileSync(join(folder, 'dashboard.ts'), source);
    const modules = at('../node_modules/');
    const compilerOptions = {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      module: 'esnext',
      moduleResolution: 'bundler',
      allowImportingTsExtensions: true,
      types: [],
      paths: schema && {
        '@grafana/schema': [modules + schema],
        '@grafana/schema/*': [`${modules + schema}/*`],
      },
    };
    const project = join(folder, 'tsconfig.json');
    writeFileSync(project, JSON.stringify({ compilerOptions, files: ['dashboard.ts'] }));
    const { stdout, error } = spawnSync(
      process.execPath,
      [`${modules}typescript/bin/tsc`, '--project', project],
      {
        encoding: 'utf8',
      },
    );
    assert.ifError(error);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [version, schema] of [
  ['10', 'grafana-10'],
  ['13', undefined],
]) {
  test(`Grafana ${version} knows all that the dashboard says`, () => {
    assert.equal(check(shipped, schema), '');
  });

  test(`Grafana ${version}: what it would not know is found`, () => {
    const wrong = [
      ['"spanNulls"', '"spansNulls"'],
      ['"mode": "multi"', '"mode": "many"'],
      ['"refId": "A"', '"reference": "A"'],
      ['"type": "heatmap"', '"type": "heatmaps"'],
      ['"schemaVersion": 39', '"schemaVersion": "39"'],
    ];
    for (const [right, mistake] of wrong) {
      assert.ok(shipped.includes(right), right);
      assert.match(check(shipped.replace(right, mistake), schema), /error TS/, mistake);
    }
  });
}
