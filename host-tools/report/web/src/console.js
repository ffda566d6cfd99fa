// The end of what the guest wrote to its console.
// SPDX-License-Identifier: MIT
import { element, section } from './dom.js';

export function consoleSection(data) {
  if (data.console === null) return null;
  return section('console', 'Console',
    element('p', { class: 'note' }, data.console.cut
      ? 'The last part of the guest’s console; control characters are shown as escapes.'
      : 'The guest’s console; control characters are shown as escapes.'),
    element('pre', { class: 'console', tabindex: '0', 'aria-label': 'Console of the guest' }, data.console.text));
}
