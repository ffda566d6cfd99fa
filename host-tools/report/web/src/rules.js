// The table of rules: what was judged, on how much evidence, and what was not.
// SPDX-License-Identifier: MIT
import { element, section, table } from './dom.js';
import { count } from './format.js';

const order = { broken: 0, 'not observed': 1, held: 2 };
const sign = { broken: '✗', 'not observed': '–', held: '✓' };

export function rulesSection(data) {
  const rows = [...data.rules].sort((a, b) => (order[a.outcome] ?? 3) - (order[b.outcome] ?? 3) || a.rule.localeCompare(b.rule));
  return section('rules', 'Rules', table('Every selected rule: how often there was something to judge, and on what evidence', [
    { title: 'Rule', header: true, cell: (row) => element('code', {}, row.rule) },
    { title: 'Outcome', cell: (row) => element('span', { class: `outcome ${row.outcome.replace(' ', '-')}` },
      element('span', { 'aria-hidden': 'true' }, `${sign[row.outcome] ?? '?'} `), row.outcome) },
    { title: 'Observed', number: true, cell: (row) => `${count(row.observed)} ${row.unit}` },
    { title: 'Findings', number: true, cell: (row) => (row.findings === 0 ? '0'
      : element('a', { href: '#findings' }, count(row.findings))) },
    { title: 'Judged on', cell: (row) => [row.evidence, row.note].filter((text) => text !== '').join('; ') },
  ], rows));
}
