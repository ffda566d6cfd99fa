// Findings that are known: what was left out of the verdict, by which entry, and entries that did nothing.
// SPDX-License-Identifier: MIT
import { element, section, table } from './dom.js';
import { oneFinding } from './findings.js';
import { count } from './format.js';

const said = {
  used: (entry) => count(entry.findings),
  unused: () => 'none: it fitted no finding',
  expired: (entry) => `none: expired on ${entry.expires}`,
};

export function suppressedSection(data, timeline) {
  if (data.suppressions === null) return null;
  const { file, entries, findings } = data.suppressions;
  return section('suppressed', 'Suppressed',
    table(`Findings that ${file} takes out of the verdict`, [
      { title: 'Rule', header: true, cell: (entry) => element('code', {}, entry.rule) },
      { title: 'Place', cell: (entry) => element('code', {}, entry.place) },
      { title: 'Findings', cell: (entry) => (said[entry.state] ?? said.used)(entry) },
      { title: 'Until', cell: (entry) => (entry.expires === '' ? 'for good' : entry.expires) },
      { title: 'Reason', cell: (entry) => entry.reason },
    ], entries),
    findings.map((finding) => oneFinding(finding, timeline, false)));
}
