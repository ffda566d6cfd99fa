// The HTML report in Chromium, from file://: what it draws, how it is used, and that nothing in it can act.
// Environment: PV_SAMPLE (writes sample reports), PV_PAGE (the built page), PV_CHROMIUM, PV_SHOTS (for screenshots).
// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { picture, pixels, withPage } from './browser.mjs';

const directory = mkdtempSync(path.join(tmpdir(), 'paravane-report-'));
const shots = process.env.PV_SHOTS;
const report = (kind) => path.join(directory, `${kind}.html`);
const chart = '#timeline-chart';

before(() => {
  mkdirSync(shots, { recursive: true });
  for (const kind of ['stall', 'pass', 'idle', 'hostile', 'large']) {
    execFileSync(process.env.PV_SAMPLE, [kind, path.join(directory, `${kind}.db`), process.env.PV_PAGE, report(kind)]);
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));

const range = async (page) => {
  const numbers = (await page.textContent('#range')).match(/^([\d.]+) s to ([\d.]+) s/);
  return { from: Number(numbers[1]), to: Number(numbers[2]) };
};

test('the file is complete in itself', async () => {
  const text = readFileSync(report('stall'), 'utf8');
  assert.match(text, /Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[^"]+; style-src 'sha256-/);
  assert.ok(!/<(?:link|iframe|img|object)\b|<script[^>]+src=|@import|url\(/.test(text.split('<script>')[0]));
  assert.match(text, /Apache Software Foundation|Apache License/, 'the libraries’ notices are kept');
  await withPage(report('stall'), { offline: false }, async (page, { complaints, requests }) => {
    assert.deepEqual(complaints, []);
    assert.deepEqual(requests, [new URL(`file://${report('stall')}`).href]);
    const reached = await page.evaluate(() => fetch('data:text/plain,x').then(() => 'reached', () => 'refused'));
    assert.equal(reached, 'refused', 'the policy lets nothing be loaded');
    await page.screenshot({ path: path.join(shots, 'stall-light.png'), fullPage: true });
  });
});

test('the page says verdict, reason and facts', () => withPage(report('stall'), {}, async (page) => {
  assert.equal(await page.textContent('#verdict strong'), 'fail');
  assert.match(await page.textContent('#verdict'), /2 rules broken/);
  assert.match(await page.title(), /^fail: paravane-kernel\.elf exercise/);
  assert.match(await page.textContent('#guest-end'), /^The guest powered off, status 3 \(it reports a failure of its own\)\.$/);
  assert.match(await page.textContent('#reproduce'), /--fault 'stall disk0 read after 100 for 2s'/);
}));

test('the time line draws commands, trouble, activity and findings', () => withPage(report('stall'), {}, async (page) => {
  for (const [color, least] of [['op-read', 500], ['op-write', 500], ['op-flush', 50], ['density', 2000], ['bad', 200]]) {
    const found = await pixels(page, chart, color);
    assert.ok(found >= least, `${color}: ${found} pixels`);
  }
  assert.match(await page.textContent('.highlights'), /timeout.*abort.*reset.*fault end/s);
}));

test('a run without trouble has none drawn', () => withPage(report('pass'), {}, async (page, { complaints }) => {
  assert.deepEqual(complaints, []);
  assert.ok(await pixels(page, chart, 'op-read') > 500);
  assert.equal(await pixels(page, chart, 'bad'), 0);
  assert.equal(await page.locator('.highlights').count(), 0);
  assert.match(await page.textContent('#findings'), /No finding\./);
  assert.equal(await page.textContent('#verdict strong'), 'pass');
}));

test('zooming and moving: buttons, keys, wheel, mouse', () => withPage(report('stall'), {}, async (page) => {
  const whole = await range(page);
  const first = await picture(page, chart);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  const closer = await range(page);
  assert.ok(Math.abs((closer.to - closer.from) * 2 - (whole.to - whole.from)) < 0.001, JSON.stringify(closer));
  assert.notEqual(await picture(page, chart), first, 'the drawing follows');

  await page.focus(chart);
  await page.keyboard.press('ArrowRight');
  assert.ok((await range(page)).from > closer.from);
  await page.keyboard.press('0');
  assert.deepEqual(await range(page), whole);

  await page.locator(chart).scrollIntoViewIfNeeded();
  const box = await page.locator(chart).boundingBox();
  const middle = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(...middle);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -400);
  await page.keyboard.up('Control');
  await page.waitForFunction((before) => document.getElementById('range').textContent !== before, `${await page.textContent('#range')}`, { timeout: 500 }).catch(() => {});
  const wheeled = await range(page);
  assert.ok(wheeled.to - wheeled.from < whole.to - whole.from, 'Ctrl and the wheel zoom');

  await page.mouse.down();
  await page.mouse.move(middle[0] - 150, middle[1], { steps: 5 });
  await page.mouse.up();
  await page.waitForTimeout(100);
  const dragged = await range(page);
  assert.ok(dragged.from > wheeled.from, `dragging moves: ${JSON.stringify([wheeled, dragged])}`);
}));

test('a run that is idle for most of its life opens where it works', () => withPage(report('idle'), {}, async (page) => {
  const { from, to } = await range(page);
  assert.ok(from < 0.3 && to > 4.5 && to < 6, `${from} to ${to}`);
  assert.match(await page.textContent('#range'), / s \([\d.]+ s of 24\.6 s\)$/);
  assert.ok(await pixels(page, chart, 'op-read') > 500, 'the commands fill the drawing');
  await page.getByRole('button', { name: 'Show everything' }).click();
  assert.ok((await range(page)).to > 24, 'nothing is out of reach');
}));

test('the wheel alone scrolls the page', () => withPage(report('stall'), {}, async (page) => {
  const whole = await range(page);
  await page.locator(chart).scrollIntoViewIfNeeded();
  const box = await page.locator(chart).boundingBox();
  await page.mouse.move(box.x + 400, box.y + 100);
  const top = await page.evaluate(() => scrollY);
  await page.mouse.wheel(0, 300);
  await page.waitForFunction((before) => scrollY > before, top);
  assert.deepEqual(await range(page), whole);
}));

test('a finding leads to the time line and back', () => withPage(report('stall'), {}, async (page) => {
  await page.locator('#finding-1').getByRole('button', { name: 'Show on the time line' }).click();
  const { from, to } = await range(page);
  assert.ok(from < 3.70004 && to > 3.70004 && to - from < 0.1, `${from} to ${to}`);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'timeline-chart');
  assert.match(await page.textContent('#selected'), /dma-after-unmap: disk0 wrote 512 bytes/);

  await page.locator('#finding-1 summary').click();
  assert.equal(await page.locator('#finding-1').getAttribute('open'), null);
  await page.locator('#selected a').click();
  // The link opens the finding; the browser tells of the new place a moment after the click.
  await page.waitForFunction(() => {
    if (!document.getElementById('finding-1').open) return false;
    const { top } = document.getElementById('finding-1').getBoundingClientRect();
    return top >= 0 && top < innerHeight;
  });

  await page.focus(chart);
  await page.keyboard.press('n');
  assert.match(await page.textContent('#selected'), /cmd-deadline/);
}));

test('a link with a finding’s name opens it', () => withPage(report('stall'), { hash: '#finding-2' }, async (page) => {
  assert.ok(await page.evaluate(() => {
    const { top } = document.getElementById('finding-2').getBoundingClientRect();
    return top >= 0 && top < innerHeight;
  }));
}));

test('the tables are filled', () => withPage(report('stall'), {}, async (page) => {
  const rows = (selector) => page.locator(`${selector} tbody tr`).count();
  assert.equal(await rows('#rules'), 8);
  assert.match(await page.textContent('#rules tbody tr:first-child'), /cmd-deadline.*broken/);
  assert.match(await page.textContent('#rules'), /1,204 transfers/);
  assert.match(await page.textContent('#rules'), /QEMU's trace, the guest's markers/, 'sources in words, not letters');
  assert.match(await page.textContent('#rules'), /not observed.*needs the guest's promise/);
  assert.equal(await rows('#finding-1'), 3);
  assert.match(await page.textContent('#finding-1'), /mapped.*−900 µs.*marker_dma_map.*device disk0 mapping 77/s);
  assert.equal(await rows('#latencies'), 6);
  assert.ok(await pixels(page, '#latency-distribution', 'op-write') > 200);
  assert.ok(await pixels(page, '#latency-scatter', 'bad') > 10, 'commands that ended badly stand out');
  await page.click('#timeline-tables summary');
  assert.match(await page.textContent('#timeline-tables'), /disk0.*timeout.*read of block 8/s);
  assert.match(await page.textContent('#console'), /paravane: powering off, status 3/);
}));

test('what a guest chose stays text', () => withPage(report('hostile'), { width: 390, scheme: 'dark' }, async (page, { complaints, requests }) => {
  assert.deepEqual(complaints, []);
  assert.equal(requests.length, 1);
  const seen = await page.evaluate(() => ({
    ran: 'pwned' in window, images: document.images.length, scripts: document.scripts.length,
    text: document.body.innerText, title: document.title, all: document.documentElement.textContent,
  }));
  assert.equal(seen.ran, false);
  assert.equal(seen.images, 0);
  assert.equal(seen.scripts, 2, 'the data and the program');
  assert.match(seen.text, /<\/script><img src=x onerror="window\.pwned=1"><!-- \\x1b\[31mred/);
  // eslint-disable-next-line no-control-regex
  assert.ok(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(seen.all + seen.title), 'no control characters, no overrides');
  await page.screenshot({ path: path.join(shots, 'hostile-dark-390.png'), fullPage: true });
}));

for (const scheme of ['light', 'dark']) {
  test(`phone width, ${scheme}: nothing sticks out, text can be read`, () => withPage(report('stall'), { width: 390, scheme }, async (page) => {
    assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth) <= 390);
    const worst = await page.evaluate(() => {
      const numbers = (color) => color.match(/[\d.]+/g).map(Number);
      const luminance = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (node) => {
        for (let at = node; at !== null; at = at.parentElement) {
          const color = numbers(getComputedStyle(at).backgroundColor);
          if (color.length === 3 || color[3] > 0) return color;
        }
        return [255, 255, 255];
      };
      let result = { ratio: 99 };
      for (const node of document.querySelectorAll('p, a, h1, h2, h3, dt, dd, td, th, code, pre, button, summary, li, span, strong, b, caption')) {
        if (node.innerText?.trim() === '' || node.getClientRects().length === 0) continue;
        const [low, high] = [luminance(numbers(getComputedStyle(node).color)), luminance(ground(node))].sort((a, b) => a - b);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < result.ratio) result = { ratio, text: node.textContent.slice(0, 40), tag: node.tagName, class: node.className };
      }
      return result;
    });
    assert.ok(worst.ratio >= 4.5, `WCAG AA: ${JSON.stringify(worst)}`);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(scheme === 'dark', Number(ground.match(/\d+/)[0]) < 64, ground);
    assert.ok(await pixels(page, chart, 'bad') > 100, 'the drawing has the scheme’s colours');
    await page.screenshot({ path: path.join(shots, `stall-${scheme}-390.png`), fullPage: true });
  }));
}

test('colours follow the scheme while the page is open', () => withPage(report('stall'), { scheme: 'light' }, async (page) => {
  const before = await picture(page, chart);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  const zoomed = await range(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.waitForTimeout(200);
  assert.notEqual(await picture(page, chart), before);
  assert.ok(await pixels(page, chart, 'op-read') > 200);
  assert.deepEqual(await range(page), zoomed, 'what is looked at stays');
}));

test('everything can be reached and is named', () => withPage(report('stall'), {}, async (page) => {
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const reached = new Set();
  for (let i = 0; i < 80; i += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent));
  }
  for (const name of ['timeline-chart', 'Zoom in', 'Show on the time line', 'Console of the guest']) {
    assert.ok(reached.has(name), `${name} is not reached by Tab: ${[...reached].join(' | ')}`);
  }
  const unnamed = await page.evaluate(() => [...document.querySelectorAll('button, a, [role=img], [role=region], section')]
    .filter((node) => (node.getAttribute('aria-label') ?? node.getAttribute('aria-labelledby') ?? node.textContent).trim() === '')
    .map((node) => node.outerHTML.slice(0, 80)));
  assert.deepEqual(unnamed, []);
}));

test('printing shows everything on white', () => withPage(report('stall'), { scheme: 'dark' }, async (page) => {
  const pdf = await page.pdf({ format: 'A4' });
  assert.ok(pdf.length > 20_000, `${pdf.length} bytes`);
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('#findings details:not([open])').count(), 0);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
  assert.equal(await page.locator('nav').isVisible(), false);
}));

test('a long run stays small, quick and honest', async () => {
  const size = statSync(report('large')).size;
  assert.ok(size < 4_000_000, `${size} bytes`);
  const begun = Date.now();
  await withPage(report('large'), { scheme: 'dark' }, async (page, { complaints }) => {
    assert.ok(Date.now() - begun < 30_000);
    assert.deepEqual(complaints, []);
    assert.match(await page.textContent('#timeline'), /[\d,]+ of [\d,]+ commands are drawn one by one/);
    const start = Date.now();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await picture(page, chart);
    assert.ok(Date.now() - start < 5_000, 'zooming answers');
    await page.screenshot({ path: path.join(shots, 'large-dark.png'), fullPage: true });
  });
});
