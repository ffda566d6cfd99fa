// What the run was and how it ended; the table of contents; what the report is made of.
// SPDX-License-Identifier: MIT
import { element } from './dom.js';
import { plural } from './format.js';

const meaning = {
  pass: 'Every selected rule was observed and none was broken.',
  fail: 'At least one rule was broken.',
  incomplete: 'Evidence is missing: this is not a pass.',
};

export function head(node, data) {
  const { verdict } = data;
  node.append(
    element('p', { class: 'brand' }, 'Paravane'),
    element('h1', {}, data.title),
    element('p', { class: 'verdict', id: 'verdict' },
      element('strong', { class: `badge ${verdict.verdict}` }, verdict.verdict),
      element('span', {}, verdict.reason === '' ? meaning[verdict.verdict] ?? '' : verdict.reason)),
    guestEnd(data.guest_end),
    element('ul', { class: 'tally' },
      data.tally.map(([label, value, mood]) => element('li', { class: mood }, element('b', {}, value), ` ${label}`))),
    element('dl', { class: 'facts' },
      data.facts.map(([label, value]) => element('div', {}, element('dt', {}, label), element('dd', {}, value)))));
  if (data.reproduce !== '') {
    node.append(element('div', { class: 'command' },
      element('span', {}, 'Reproduce'), element('code', { id: 'reproduce' }, data.reproduce), copyButton(data.reproduce)));
  }
}

/// How the guest ended, apart from the verdict: rules can hold in a guest that failed.
function guestEnd({ text, ended, status, wedged }) {
  if (text === '') return null;
  const good = wedged === '' && (ended === 'powered off' ? (status ?? 0) === 0 : ended === '');
  const meaning = status === null ? '' : status === 0 ? ' (it reports success)' : ' (it reports a failure of its own)';
  return element('p', { class: 'guest-end', id: 'guest-end' }, 'The guest ', element('b', { class: good ? '' : 'warn' }, text), meaning, '.');
}

/// Copies by the clipboard interface, which a page from file:// may not be given; then selects the text instead.
function copyButton(text) {
  const button = element('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  return button;
}

export function contents(node, sections) {
  node.append(element('ul', {}, sections.map((section) =>
    element('li', {}, element('a', { href: `#${section.id}` }, section.querySelector('h2').firstChild.textContent)))));
}

export function foot(node, data) {
  node.append(
    element('h2', {}, 'About this report'),
    element('p', {}, `Drawn from ${data.trace}: ${plural(data.events, 'event')}. Times count from the first event, on the host’s clock.`),
    ...data.notes.map((note) => element('p', {}, note)),
    element('p', {}, 'One self-contained file: it loads nothing and sends nothing. Charts by Apache ECharts '
      + '(Apache License 2.0) on zrender (BSD 3-Clause); their notices are in the script.'));
}
