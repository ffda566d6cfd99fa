// Latencies of commands: percentiles, distribution, and each over time, by device and operation.
// SPDX-License-Identifier: MIT
import { axisStyle, chart, plain, tooltip } from './charts.js';
import { element, section, table } from './dom.js';
import { count, duration, moment, tick } from './format.js';
import { operationColor } from './theme.js';

const symbols = ['circle', 'triangle', 'rect', 'diamond', 'arrow', 'roundRect'];
const dashes = ['solid', 'dashed', 'dotted'];

const name = (series) => `${series.device} ${series.operation}`;

/// The colour says the operation, as on the time line; symbol and dashes say the device.
function look(series, one, colors) {
  const device = [...new Set(series.map((other) => other.device))].indexOf(one.device);
  return { color: operationColor(colors, one.operation), symbol: symbols[device % symbols.length], dash: dashes[device % dashes.length] };
}

const legend = (colors) => ({
  type: 'plain', top: 0, left: 0, itemWidth: 18, itemHeight: 9,
  textStyle: { color: colors.ink, fontFamily: colors.font, fontSize: 12 }, inactiveColor: colors.muted,
});

/// Share of commands done within a time: reads off any percentile, and shows a second hump as a step.
function distribution(series, colors, width) {
  return {
    textStyle: { fontFamily: colors.font },
    legend: { ...legend(colors), data: series.map((one) => plain(name(one))) },
    grid: { left: 48, right: 20, top: legendSpace(series, width), bottom: 46 },
    tooltip: { trigger: 'item', ...tooltip(colors, (event) => plain(`${event.seriesName}\n${event.value[1].toFixed(2)} % within ${duration(event.value[0])}`)) },
    xAxis: { type: 'log', name: 'latency', nameLocation: 'middle', nameGap: 28, ...axisStyle(colors),
      axisLabel: { ...axisStyle(colors).axisLabel, formatter: duration, hideOverlap: true } },
    yAxis: { type: 'value', min: 0, max: 100, ...axisStyle(colors),
      axisLabel: { ...axisStyle(colors).axisLabel, formatter: '{value} %' } },
    series: series.map((one) => {
      let below = 0;
      const steps = one.histogram.map(([, high, number]) => {
        below += number;
        return [Math.max(high, 1), (100 * below) / one.completed];
      });
      const first = Math.max(one.histogram[0]?.[0] ?? 1, 1);
      const { color, symbol, dash } = look(series, one, colors);
      return { type: 'line', name: plain(name(one)), data: [[first, 0], ...steps], symbol, symbolSize: 5,
        showSymbol: true, lineStyle: { color, width: 2, type: dash }, itemStyle: { color } };
    }),
  };
}

const legendSpace = (series, width) => 14 + 22 * Math.ceil((series.length * 140) / Math.max(width, 1));

// Opens where commands are, when that is a part of the run only, as the time line does.
function where(points, end) {
  let [from, to] = [Infinity, -Infinity];
  for (const [, start] of points) [from, to] = [Math.min(from, start), Math.max(to, start)];
  const margin = 0.04 * (to - from);
  return to - from < 0.7 * end ? { startValue: Math.max(from - margin, 0), endValue: Math.min(to + margin, end) } : {};
}

function scatter(data, series, colors, width) {
  const { points, end } = data.latency;
  const busy = where(points, end);
  return {
    textStyle: { fontFamily: colors.font },
    legend: { ...legend(colors), data: series.map((one) => plain(name(one))) },
    grid: { left: 64, right: 20, top: legendSpace(series, width), bottom: 66 },
    tooltip: { trigger: 'item', ...tooltip(colors, (event) =>
      plain(`${event.seriesName}\n${duration(event.value[1])} from ${moment(event.value[0])}\n${event.value[2]}`)) },
    xAxis: { type: 'value', min: 0, max: end, ...axisStyle(colors), splitNumber: width < 560 ? 3 : 6,
      axisLabel: { ...axisStyle(colors).axisLabel, hideOverlap: true, formatter: (value) => tick(value, end) } },
    yAxis: { type: 'log', ...axisStyle(colors), axisLabel: { ...axisStyle(colors).axisLabel, formatter: duration } },
    dataZoom: [
      { type: 'inside', xAxisIndex: 0, ...busy, zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, preventDefaultMouseMove: false },
      { type: 'slider', xAxisIndex: 0, ...busy, bottom: 8, height: 22, brushSelect: false, showDetail: false, borderColor: colors.line,
        showDataShadow: false, fillerColor: colors.stripe, handleStyle: { color: colors.surface, borderColor: colors.accent },
        moveHandleStyle: { color: colors.accent, opacity: 0.6 } },
    ],
    series: series.map((one) => {
      const { color, symbol } = look(series, one, colors);
      return {
        type: 'scatter', name: plain(name(one)), symbol, symbolSize: 6, itemStyle: { color, opacity: 0.75 },
        data: points.filter((point) => point[0] === one.index).map(([, time, latency, outcome]) => ({
          value: [time, Math.max(latency, 1), data.timeline.outcomes[outcome]],
          ...(data.timeline.outcomes[outcome] === 'completed' ? {}
            : { symbolSize: 11, itemStyle: { color, opacity: 1, borderColor: colors.bad, borderWidth: 2 } }),
        })),
      };
    }),
  };
}

export function latencySection(data) {
  const { latency } = data;
  const series = latency.series.map((one, index) => ({ ...one, index }))
    .sort((a, b) => a.device.localeCompare(b.device) || a.operation.localeCompare(b.operation));
  const measured = series.filter((one) => one.completed > 0);
  if (series.length === 0) {
    return { section: section('latencies', 'Latencies', element('p', { class: 'empty' }, 'No command was seen.')), draw() {} };
  }
  const percentiles = table('From submission to completion, by device and operation', [
    { title: 'Device', header: true, cell: (row) => row.device },
    { title: 'Operation', cell: (row) => row.operation },
    { title: 'Commands', number: true, cell: (row) => count(row.commands) },
    { title: 'Ended badly', number: true, cell: (row) => (row.commands === row.ok ? '0'
      : element('b', { class: 'bad' }, count(row.commands - row.ok))) },
    ...[['Fastest', 'min'], ['50 %', 'p50'], ['90 %', 'p90'], ['99 %', 'p99'], ['99.9 %', 'p999'], ['Slowest', 'max']]
      .map(([title, field]) => ({ title, number: true, cell: (row) => (row.completed === 0 ? '' : duration(row[field])) })),
  ], series);
  const box = (id, label) => element('div', { class: 'chart latency', id, role: 'img', 'aria-label': label });
  const spread = box('latency-distribution', 'Share of commands completed within a time, one line for each device and operation; the table above holds the percentiles.');
  const course = box('latency-scatter', 'Latency of commands over the run, on a logarithmic scale; the table above holds the percentiles.');
  return {
    section: section('latencies', 'Latencies', percentiles,
      element('h3', {}, 'Share of commands done within a time'), spread, element('h3', {}, 'Latency of commands over time'), course,
      latency.notes.map((note) => element('p', { class: 'note' }, note))),
    draw() {
      if (measured.length === 0) {
        spread.replaceWith(element('p', { class: 'empty' }, 'No command completed.'));
      } else {
        chart(spread, (colors, width) => distribution(measured, colors, width));
      }
      chart(course, (colors, width) => scatter(data, series, colors, width));
    },
  };
}
