// Colours of the charts: read from the style sheet, so that page and charts cannot disagree; light when printed.
// SPDX-License-Identifier: MIT

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set();

function read(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function theme() {
  return {
    ink: read('ink'), muted: read('muted'), line: read('line'), surface: read('surface'), accent: read('accent'),
    stripe: read('stripe'), bad: read('bad'), warn: read('warn'), good: read('good'), density: read('density'),
    operation: {
      read: read('op-read'), write: read('op-write'), flush: read('op-flush'), admin: read('op-admin'), other: read('op-other'),
    },
    font: getComputedStyle(document.body).fontFamily,
  };
}

/// A colour for each operation; words this version does not know share one.
export const operationColor = (colors, operation) => colors.operation[operation] ?? colors.operation.other;

/// Calls `listener` when the colours have changed.
export function onThemeChange(listener) {
  listeners.add(listener);
}

const changed = () => listeners.forEach((listener) => listener());
dark.addEventListener('change', changed);
window.addEventListener('beforeprint', () => { document.documentElement.classList.add('print'); changed(); });
window.addEventListener('afterprint', () => { document.documentElement.classList.remove('print'); changed(); });
