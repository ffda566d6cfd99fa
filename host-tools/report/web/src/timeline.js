// The time line: devices and vCPUs as lanes, commands as bars, what went wrong as marks, findings as pins.
// SPDX-License-Identifier: MIT
import { chart } from './charts.js';
import { element, section, table } from './dom.js';
import { count, duration, moment, plural } from './format.js';
import { describeBar, laneHeight, options } from './timeline_chart.js';
import { operationColor, theme, onThemeChange } from './theme.js';

/// What is looked at: microseconds from, to. Never narrower than 20 µs, never outside the trace.
class Window {
  constructor(end) {
    this.end = Math.max(end, 20);
    this.from = 0;
    this.to = this.end;
  }

  set(from, to) {
    const width = Math.min(Math.max(to - from, 20), this.end);
    this.from = Math.min(Math.max(from, 0), this.end - width);
    this.to = this.from + width;
  }

  zoom(factor, center = (this.from + this.to) / 2) {
    this.set(center - (center - this.from) * factor, center + (this.to - center) * factor);
  }

  pan(part) {
    const step = (this.to - this.from) * part;
    this.set(this.from + step, this.to + step);
  }
}

const keys = {
  '+': (view) => view.zoom(0.5), '=': (view) => view.zoom(0.5), '-': (view) => view.zoom(2),
  ArrowLeft: (view) => view.pan(-0.25), ArrowRight: (view) => view.pan(0.25),
  0: (view) => view.set(0, view.end), Home: (view) => view.set(0, view.end),
};

/// Where devices and vCPUs do something: a guest's boot and its end are often longer than that.
function activity({ timeline, findings }) {
  let [from, to] = [Infinity, -Infinity];
  const take = (start, end) => { from = Math.min(from, start); to = Math.max(to, end); };
  timeline.bars.forEach((bar) => take(bar[1], bar[2]));
  timeline.spans.forEach((span) => take(span[1], span[2]));
  timeline.marks.filter((mark) => mark[5] > 0).forEach((mark) => take(mark[1], mark[1]));
  findings.forEach((finding) => take(finding.time, finding.time));
  timeline.density.forEach((band) => {
    const first = band.counts.findIndex((value) => value > 0);
    if (first >= 0) take(first * band.width, (band.counts.length - [...band.counts].reverse().findIndex((value) => value > 0)) * band.width);
  });
  return { from, to };
}

function legend(data) {
  const used = [...new Set(data.timeline.bars.map((bar) => data.timeline.operations[bar[3]]))];
  const node = element('ul', { class: 'legend', 'aria-label': 'Colours of the bars' });
  const draw = () => node.replaceChildren(
    ...used.map((operation) => {
      const swatch = element('i', {});
      swatch.style.background = operationColor(theme(), operation);
      return element('li', {}, swatch, operation);
    }),
    element('li', {}, element('i', { class: 'ended-badly' }), 'ended badly'),
    data.timeline.density.length === 0 ? '' : element('li', {}, element('i', { class: 'density' }), 'register accesses or commands, how many'),
    data.findings.length === 0 ? '' : element('li', {}, element('i', { class: 'pin' }), 'finding'));
  onThemeChange(draw);
  return { node, draw };
}

/// The same as tables, for who cannot see or use the drawing.
function alternatives({ timeline }) {
  const lane = (index) => timeline.lanes[index].name;
  const marks = [...timeline.marks].sort((a, b) => a[1] - b[1]);
  const worst = timeline.bars.filter((bar) => timeline.outcomes[bar[4]] !== 'completed');
  const slow = [...timeline.bars].sort((a, b) => (b[2] - b[1]) - (a[2] - a[1])).slice(0, 50);
  const command = [
    { title: 'Lane', header: true, cell: (bar) => lane(bar[0]) },
    { title: 'Submitted', number: true, cell: (bar) => moment(bar[1]) },
    { title: 'Took', number: true, cell: (bar) => duration(bar[2] - bar[1]) },
    { title: 'What', cell: (bar) => describeBar(timeline, bar) },
  ];
  return element('details', { class: 'alternative', id: 'timeline-tables' },
    element('summary', {}, 'The time line as tables'),
    marks.length === 0 ? null : table('What happened besides commands', [
      { title: 'Lane', header: true, cell: (mark) => lane(mark[0]) },
      { title: 'Time', number: true, cell: (mark) => moment(mark[1]) },
      { title: 'What', cell: (mark) => mark[2] },
      { title: 'Details', cell: (mark) => mark[3] },
    ], marks.slice(0, 500)),
    worst.length === 0 ? null : table('Commands that ended badly', command, worst.slice(0, 200)),
    slow.length === 0 ? null : table('The slowest commands drawn', command, slow),
    table('Lanes', [
      { title: 'Lane', header: true, cell: (row) => row.name },
      { title: 'Commands or events', number: true, cell: (row) => count(row.total) },
      { title: 'Drawn one by one', number: true, cell: (row) => (row.kind === 'queue' ? count(row.drawn) : '') },
    ], timeline.lanes));
}

/// What stands out, in words and as buttons: a reader sees the stall before touching the drawing.
function highlights(data, show) {
  const loud = data.timeline.marks.filter((mark) => mark[5] >= 2).sort((a, b) => a[1] - b[1]);
  if (loud.length === 0) return null;
  return element('div', { class: 'highlights' },
    element('h3', {}, 'Timeouts, aborts, resets and faults'),
    element('ol', {}, loud.slice(0, 40).map((mark) => element('li', {},
      element('button', { type: 'button', class: 'link', on: { click: () => show(mark[1]) } }, moment(mark[1])),
      ' ', element('b', {}, mark[2]), ` ${data.timeline.lanes[mark[0]].name}`, mark[3] === '' ? '' : `: ${mark[3]}`))),
    loud.length > 40 ? element('p', { class: 'note' }, `${count(loud.length - 40)} more are in the tables below.`) : null);
}

export function timelineSection(data) {
  const { timeline } = data;
  const view = new Window(timeline.end);
  const busy = activity(data);
  if (busy.to - busy.from < 0.7 * timeline.end) {
    const margin = 0.04 * (busy.to - busy.from);
    view.set(busy.from - margin, busy.to + margin);
  }
  let instance = null;

  const range = element('output', { class: 'range', id: 'range', 'aria-live': 'polite' });
  const selected = element('output', { class: 'selected', id: 'selected', 'aria-live': 'polite' });
  const colors = legend(data);
  const node = element('div', { class: 'chart', id: 'timeline-chart', tabindex: '0', role: 'img',
    'aria-label': `Time line of ${plural(timeline.lanes.length, 'lane')}: plus and minus zoom, arrows move, 0 shows everything, `
      + 'n and p go to the next and the previous finding. The tables below hold the same.' });
  node.style.height = `${timeline.lanes.length * laneHeight + 96}px`;

  function tell() {
    const part = view.to - view.from < view.end ? ` of ${duration(view.end)}` : '';
    range.textContent = `${moment(view.from)} to ${moment(view.to)} (${duration(view.to - view.from)}${part})`;
  }
  function apply() {
    instance?.dispatchAction({ type: 'dataZoom', startValue: view.from, endValue: view.to });
    tell();
  }
  function show(time, finding) {
    const width = Math.min(Math.max(timeline.end / 200, 400), 20000);
    view.set(time - width, time + width);
    apply();
    if (finding !== undefined) pick(data.findings.find((candidate) => candidate.id === finding));
    node.scrollIntoView({ block: 'center' });
    node.focus({ preventScroll: true });
  }
  function pick(finding) {
    if (finding === undefined) return;
    current = data.findings.indexOf(finding);
    selected.replaceChildren(`${moment(finding.time)} ${finding.title} `,
      element('a', { href: `#finding-${finding.id}` }, 'Evidence'));
  }
  let current = -1;
  function step(direction) {
    if (data.findings.length === 0) return;
    current = (current + direction + data.findings.length) % data.findings.length;
    show(data.findings[current].time, data.findings[current].id);
  }

  const button = (label, text, act) => element('button', { type: 'button', 'aria-label': label, title: label,
    on: { click: () => { act(view); apply(); } } }, text);
  const tools = element('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Time line' },
    button('Zoom in', '+', keys['+']), button('Zoom out', '−', keys['-']),
    button('Earlier', '←', keys.ArrowLeft), button('Later', '→', keys.ArrowRight), button('Show everything', 'All', keys[0]),
    data.findings.length === 0 ? null : element('button', { type: 'button', on: { click: () => step(1) } }, 'Next finding'));
  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in keys) {
      keys[event.key](view);
      apply();
    } else if (event.key === 'n' || event.key === 'p') {
      step(event.key === 'n' ? 1 : -1);
    } else {
      return;
    }
    event.preventDefault();
  });

  const part = section('timeline', 'Time line',
    element('p', { class: 'note' }, 'Drag to move, Ctrl and the wheel or the buttons to zoom, the slider for the whole. '
      + 'Click a bar, mark or pin for its details.'),
    highlights(data, show), colors.node, element('div', { class: 'bar' }, tools, range), node, selected,
    timeline.notes.map((note) => element('p', { class: 'note' }, note)), alternatives(data));

  return {
    section: part,
    show,
    draw() {
      if (timeline.lanes.length === 0) {
        node.replaceWith(element('p', { class: 'empty' }, 'The trace holds no event to draw.'));
        return;
      }
      colors.draw();
      tell();
      instance = chart(node, (look, width) => options(data, look, width, view));
      instance.on('dataZoom', () => {
        const zoom = instance.getOption().dataZoom[0];
        view.set(zoom.startValue, zoom.endValue);
        tell();
      });
      instance.on('click', (event) => {
        if (event.seriesId === 'pins') {
          pick(data.findings[event.data.finding]);
        } else if (event.seriesId === 'bars') {
          const bar = timeline.bars[event.dataIndex];
          selected.textContent = `${moment(bar[1])} ${timeline.lanes[bar[0]].name}: ${describeBar(timeline, bar)}`;
        } else if (event.seriesId === 'marks') {
          const mark = timeline.marks[event.data.mark];
          selected.textContent = `${moment(mark[1])} ${timeline.lanes[mark[0]].name}: ${mark[2]} ${mark[3]} (event ${count(mark[4])})`;
        }
      });
      node.dataset.drawn = 'true';
    },
  };
}
