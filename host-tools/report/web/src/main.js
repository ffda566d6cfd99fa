// Puts the report together from the data in the page.
// SPDX-License-Identifier: MIT
import { consoleSection } from './console.js';
import { element } from './dom.js';
import { findingsSection } from './findings.js';
import { contents, foot, head } from './head.js';
import { latencySection } from './latency.js';
import { rulesSection } from './rules.js';
import { suppressedSection } from './suppressed.js';
import { timelineSection } from './timeline.js';

const data = JSON.parse(document.getElementById('data').textContent);
document.title = `${data.verdict.verdict}: ${data.title} (Paravane report)`;
document.documentElement.dataset.verdict = data.verdict.verdict;

const main = document.getElementById('main');
head(document.getElementById('head'), data);

// The time line is built first, for the findings link into it; charts are drawn once their boxes have a size.
const timeline = timelineSection(data);
const latency = latencySection(data);
const sections = [
  findingsSection(data, timeline), timeline.section, latency.section, rulesSection(data), suppressedSection(data, timeline),
  consoleSection(data),
].filter((part) => part !== null);
main.append(...sections);
contents(document.getElementById('contents'), sections);
foot(document.getElementById('foot'), data);
timeline.draw();
latency.draw();

// A link to a finding (#finding-3) opens it, whether it came with the address or was clicked.
function follow() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
  target?.scrollIntoView();
}
window.addEventListener('hashchange', follow);
if (location.hash.length > 1) follow();
window.addEventListener('beforeprint', () => document.querySelectorAll('#findings details').forEach((node) => { node.open = true; }));
document.body.append(element('span', { id: 'ready', hidden: true }));
