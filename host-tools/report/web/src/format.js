// Numbers as people read them. Times are microseconds since the first event of the trace.
// SPDX-License-Identifier: MIT

const grouped = new Intl.NumberFormat('en');

export const count = (value) => grouped.format(value);

/// A length of time with three significant digits or so: 850 µs, 12.4 ms, 3.02 s.
export function duration(us) {
  const size = Math.abs(us);
  if (size < 1000) return `${Math.round(us)} µs`;
  const [value, unit] = size < 1e6 ? [us / 1e3, 'ms'] : [us / 1e6, 's'];
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/// A moment, to the microsecond: 1.234 567 s.
export function moment(us) {
  const negative = us < 0 ? '-' : '';
  const whole = Math.floor(Math.abs(us) / 1e6);
  const part = String(Math.round(Math.abs(us)) % 1e6).padStart(6, '0');
  return `${negative}${whole}.${part} s`;
}

/// A moment on an axis that spans `span` microseconds: as many digits as tell two ticks apart.
export function tick(us, span) {
  if (span <= 5000) return `${(us / 1e3).toFixed(3)} ms`;
  if (span <= 5e5) return `${(us / 1e3).toFixed(1)} ms`;
  return `${(us / 1e6).toFixed(span < 1e7 ? 2 : 1)} s`;
}

export function bytes(value) {
  if (value === null || value === undefined) return '';
  if (value < 1024) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value / 1024;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) { scaled /= 1024; unit += 1; }
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)} ${units[unit]}`;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
