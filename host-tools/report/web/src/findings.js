// Findings with their evidence: what happened, whose memory, the events that prove it.
// SPDX-License-Identifier: MIT
import { element, section, table } from './dom.js';
import { count, duration, moment, plural } from './format.js';

function facts(finding) {
  return [
    ['Rule', element('code', {}, finding.rule)],
    ['When', `${moment(finding.time)}, event ${count(finding.seq)}`],
    ['vCPU', finding.cpu],
    ['At', finding.pc === null ? null : [element('code', {}, finding.pc), finding.symbol === '' ? '' : ` ${finding.symbol}`]],
    ['Device', finding.device === '' ? null : finding.device],
    ['Address', finding.address === null ? null
      : [element('code', {}, finding.address), finding.length === null ? '' : `, ${plural(finding.length, 'byte')}`]],
  ].filter(([, value]) => value !== null && value !== undefined);
}

function evidence(finding, timeline) {
  if (finding.events.length === 0) return null;
  return table(`Events that prove finding ${finding.id}`, [
    { title: 'Role', header: true, cell: (event) => event.role },
    { title: 'Event', number: true, cell: (event) => count(event.seq) },
    { title: 'Relative', number: true, cell: (event) => (event.time === null ? ''
      : element('button', { type: 'button', class: 'link', 'aria-label': `Show event ${event.seq} on the time line`,
        on: { click: () => timeline.show(event.time, finding.id) } },
      event.seq === finding.seq ? 'here' : `${event.time <= finding.time ? '−' : '+'}${duration(Math.abs(event.time - finding.time))}`)) },
    { title: 'vCPU', number: true, cell: (event) => event.cpu },
    { title: 'What', cell: (event) => element('code', {}, event.what) },
    { title: 'Details', cell: (event) => element('code', { class: 'details' }, event.details) },
  ], finding.events, { class: 'evidence' });
}

export function oneFinding(finding, timeline, open) {
  return element('details', { class: `finding ${finding.severity}`, id: `finding-${finding.id}`, open },
    element('summary', {}, element('span', { class: `severity ${finding.severity}` }, finding.severity), ' ',
      element('span', { class: 'title' }, finding.title)),
    element('div', { class: 'body' },
      element('dl', { class: 'facts' }, facts(finding).map(([label, value]) =>
        element('div', {}, element('dt', {}, label), element('dd', {}, value)))),
      finding.detail === '' ? null : element('pre', { class: 'detail' }, finding.detail),
      evidence(finding, timeline),
      element('p', { class: 'actions' },
        element('button', { type: 'button', class: 'show', on: { click: () => timeline.show(finding.time, finding.id) } },
          'Show on the time line'),
        ' ', element('a', { href: `#finding-${finding.id}` }, 'Link to this finding'))));
}

export function findingsSection(data, timeline) {
  const hidden = data.findings_total - data.findings.length;
  if (data.findings.length === 0) {
    return section('findings', 'Findings', element('p', { class: 'empty' }, 'No finding.'));
  }
  return section('findings', 'Findings',
    element('p', { class: 'note' }, `${plural(data.findings_total, 'finding')}, in the order they happened.`,
      hidden > 0 ? ` The first ${count(data.findings.length)} are shown.` : ''),
    data.findings.map((finding, index) => oneFinding(finding, timeline, index < 3)));
}
