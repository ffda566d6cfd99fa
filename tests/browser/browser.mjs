// A Chromium of its own for each page: new profile, no network, everything it complains about kept.
// SPDX-License-Identifier: MIT
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { chromium } from 'playwright-core';

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/// Opens `file` and calls `use(page, {complaints, requests})`; then ends the browser and removes its profile.
export async function withPage(file, { width = 1280, height = 900, scheme = 'light', hash = '', offline = true } = {}, use) {
  const home = await mkdtemp(path.join(tmpdir(), 'paravane-browser-'));
  let context = null;
  try {
    context = await chromium.launchPersistentContext(path.join(home, 'profile'), {
      executablePath: process.env.PV_CHROMIUM, headless: true, args: flags, viewport: { width, height }, colorScheme: scheme,
      offline, env: { ...process.env, HOME: home, TMPDIR: home }, timeout: 60_000,
    });
    const page = context.pages()[0] ?? await context.newPage();
    const complaints = [];
    const requests = [];
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    page.on('dialog', (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    await page.goto(pathToFileURL(file).href + hash);
    await page.waitForSelector('#ready', { state: 'attached', timeout: 30_000 });
    return await use(page, { complaints, requests });
  } finally {
    await context?.close();
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/// How many pixels of a chart's canvas have (nearly) the colour of the style sheet's variable `name`.
export const pixels = (page, chart, name) => page.evaluate(([selector, variable]) => {
  const probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();
  probe.fillRect(0, 0, 1, 1);
  const wanted = probe.getImageData(0, 0, 1, 1).data;
  const canvas = document.querySelector(`${selector} canvas`);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if ([0, 1, 2].every((part) => Math.abs(data[at + part] - wanted[part]) <= 3) && data[at + 3] > 250) count += 1;
  }
  return count;
}, [chart, name]);

/// What a chart shows, as text to compare.
export const picture = (page, chart) => page.evaluate((selector) => document.querySelector(`${selector} canvas`).toDataURL(), chart);
