// Builds page.html: bundles script and style into it and fixes both by hash in its Content-Security-Policy.
// The one placeholder left, @DATA@, is filled by `paravane report`. Usage: node build.mjs OUTPUT
// SPDX-License-Identifier: MIT
import { build, transform } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const output = path.resolve(process.argv[2] ?? 'page.html');

const bundle = await build({
  entryPoints: [path.join(here, 'src/main.js')],
  nodePaths: [path.join(process.cwd(), 'node_modules')],
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2020',
  charset: 'ascii',
  define: { 'process.env.NODE_ENV': '"production"' },
  legalComments: 'inline', // the libraries' licence notices stay with their code
  write: false,
});
// Inside an HTML script element these would end it or change how it is parsed.
const script = bundle.outputFiles[0].text.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
const style = (await transform(await readFile(path.join(here, 'style.css'), 'utf8'), { loader: 'css', minify: true })).code;

const hash = (text) => `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'`;
const policy = [
  "default-src 'none'", `script-src ${hash(script)}`, `style-src ${hash(style)}`,
  'img-src data:', "base-uri 'none'", "form-action 'none'",
].join('; ');

const values = { POLICY: policy, STYLE: style, SCRIPT: script };
const page = (await readFile(path.join(here, 'page.html'), 'utf8'))
  .replace(/@(POLICY|STYLE|SCRIPT)@/g, (_, name) => values[name]);
if (page.split('@DATA@').length !== 2) {
  throw new Error('the page must hold the placeholder for its data exactly once');
}
await mkdir(path.dirname(output), { recursive: true });
await writeFile(output, page);
