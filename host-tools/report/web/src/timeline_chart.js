// How the time line is drawn: one category a lane, custom series for bars and activity, scatter for marks and pins.
// SPDX-License-Identifier: MIT
//
// Data, all times in microseconds: lanes {name, kind, total, drawn}; bars [lane, start, end, operation, outcome,
// command, bytes, lba, deadline, status]; density {lane, width, counts, unit}; marks [lane, time, what, detail, seq,
// weight]; spans [lane, start, end, what, detail].
import { axisStyle, clip, plain, tooltip } from './charts.js';
import { bytes, count, duration, moment, tick } from './format.js';
import { operationColor } from './theme.js';

export const laneHeight = 38;

const slots = 6; // commands in flight on one queue at once are stacked up to this many

const shapes = { timeout: 'triangle', abort: 'diamond', reset: 'rect', 'fault begin': 'arrow', 'fault end': 'arrow' };

export function describeBar(timeline, bar) {
  const [, start, end, operation, outcome, command, size, lba, deadline, status] = bar;
  const parts = [`${timeline.operations[operation]} ${timeline.outcomes[outcome]}, command 0x${command.toString(16)}`];
  if (size !== null) parts.push(bytes(size));
  if (lba !== null) parts.push(`block ${count(lba)}`);
  parts.push(`took ${duration(end - start)}`);
  if (deadline !== null) parts.push(`deadline ${duration(deadline - start)} after submission`);
  if (status !== null && status !== 0) parts.push(`status 0x${status.toString(16)}`);
  return parts.join(', ');
}

/// For each bar the slot it is drawn in, and how many slots its lane needs: overlapping commands side by side.
function stack(timeline) {
  const lanes = timeline.lanes.map(() => []);
  const order = timeline.bars.map((_, index) => index).sort((a, b) => timeline.bars[a][1] - timeline.bars[b][1]);
  const slot = new Array(timeline.bars.length).fill(0);
  for (const index of order) {
    const [lane, start, end] = timeline.bars[index];
    const ends = lanes[lane];
    let free = ends.findIndex((until) => until <= start);
    if (free < 0) free = ends.length < slots ? ends.length : ends.indexOf(Math.min(...ends));
    ends[free] = Math.max(ends[free] ?? 0, end);
    slot[index] = free;
  }
  return { slot, used: lanes.map((ends) => Math.max(ends.length, 1)) };
}

function barSeries(data, colors, stacked) {
  const { timeline } = data;
  return {
    id: 'bars', type: 'custom', data: timeline.bars.map((bar) => [bar[1], bar[0], bar[2]]),
    dimensions: ['start', 'lane', 'end'], encode: { x: ['start', 'end'], y: 'lane' }, clip: true, z: 3,
    renderItem(params, api) {
      const bar = timeline.bars[params.dataIndex];
      const from = api.coord([bar[1], bar[0]]);
      const to = api.coord([bar[2], bar[0]]);
      const height = laneHeight * 0.72;
      const part = height / stacked.used[bar[0]];
      const area = params.coordSys;
      const shape = clip({
        x: from[0], y: from[1] - height / 2 + part * stacked.slot[params.dataIndex],
        width: Math.max(to[0] - from[0], 1.5), height: Math.max(part - 1, 2),
      }, area);
      if (!shape) return null;
      const bad = timeline.outcomes[bar[4]] !== 'completed';
      return { type: 'rect', shape, style: {
        fill: operationColor(colors, timeline.operations[bar[3]]),
        stroke: bad ? colors.bad : null, lineWidth: bad ? 2 : 0,
      } };
    },
  };
}

function densitySeries(timeline, colors) {
  const items = [];
  timeline.density.forEach((band, index) => {
    const top = Math.max(...band.counts, 1);
    band.counts.forEach((value, bin) => {
      if (value > 0) items.push([bin * band.width, band.lane, (bin + 1) * band.width, value, index, Math.log1p(value) / Math.log1p(top)]);
    });
  });
  return {
    id: 'density', type: 'custom', data: items, dimensions: ['start', 'lane', 'end', 'count', 'band', 'level'],
    encode: { x: ['start', 'end'], y: 'lane' }, clip: true, z: 2,
    renderItem(params, api) {
      const [start, lane, end, , , level] = [0, 1, 2, 3, 4, 5].map((dimension) => api.value(dimension));
      const from = api.coord([start, lane]);
      const to = api.coord([end, lane]);
      const height = Math.max(laneHeight * 0.72 * level, 1.5);
      const shape = clip({ x: from[0], y: from[1] + laneHeight * 0.36 - height, width: Math.max(to[0] - from[0], 1), height }, params.coordSys);
      return shape && { type: 'rect', shape, style: { fill: colors.density } };
    },
  };
}

function spanSeries(timeline, colors) {
  return {
    id: 'spans', type: 'custom', data: timeline.spans.map((span) => [span[1], span[0], span[2]]),
    dimensions: ['start', 'lane', 'end'], encode: { x: ['start', 'end'], y: 'lane' }, clip: true, z: 1,
    renderItem(params, api) {
      const [lane, start, end] = timeline.spans[params.dataIndex];
      const from = api.coord([start, lane]);
      const to = api.coord([end, lane]);
      const shape = clip({ x: from[0], y: from[1] - laneHeight * 0.4, width: Math.max(to[0] - from[0], 2), height: laneHeight * 0.8 }, params.coordSys);
      return shape && { type: 'rect', shape, style: { fill: colors.warn, opacity: 0.45 } };
    },
  };
}

function markSeries(timeline, colors) {
  return {
    id: 'marks', type: 'scatter', z: 5, clip: true,
    data: timeline.marks.map((mark, index) => ({
      value: [mark[1], mark[0]], mark: index,
      symbol: shapes[mark[2]] ?? 'circle', symbolSize: mark[5] >= 2 ? 12 : 6,
      itemStyle: { color: mark[5] >= 2 ? colors.bad : mark[5] === 1 ? colors.warn : colors.muted, borderColor: colors.surface, borderWidth: 1 },
      label: mark[5] >= 2 ? { show: true, formatter: plain(mark[2]), position: mark[1] > timeline.end * 0.85 ? 'left' : 'right', color: colors.ink, fontSize: 11,
        fontFamily: colors.font, textBorderColor: colors.surface, textBorderWidth: 3 } : { show: false },
    })),
    labelLayout: { hideOverlap: true },
  };
}

function pinSeries(data, colors) {
  const { findings, timeline } = data;
  return {
    id: 'pins', type: 'scatter', z: 6, clip: true,
    data: findings.map((finding, index) => ({
      value: [finding.time, Math.min(finding.lane, timeline.lanes.length - 1)], finding: index,
      symbol: 'pin', symbolSize: 26, symbolOffset: [0, -6],
      itemStyle: { color: finding.severity === 'error' ? colors.bad : colors.warn, borderColor: colors.surface, borderWidth: 1 },
    })),
    markLine: {
      silent: true, symbol: 'none', animation: false, label: { show: false },
      lineStyle: { color: colors.bad, type: 'dashed', width: 1, opacity: 0.6 },
      data: findings.map((finding) => ({ xAxis: finding.time })),
    },
  };
}

function tip(data, event) {
  const { timeline } = data;
  if (event.seriesId === 'bars') {
    const bar = timeline.bars[event.dataIndex];
    return plain(`${timeline.lanes[bar[0]].name} at ${moment(bar[1])}\n${describeBar(timeline, bar).replaceAll(', ', '\n')}`);
  }
  if (event.seriesId === 'density') {
    const [start, lane, end, value, band] = event.data;
    return plain(`${timeline.lanes[lane].name}\n${count(value)} ${timeline.density[band].unit}\n${moment(start)} to ${moment(end)}`);
  }
  if (event.seriesId === 'spans') {
    const [, start, end, what, detail] = timeline.spans[event.dataIndex];
    return plain(`${what} ${detail}\n${moment(start)}, for ${duration(end - start)}`);
  }
  if (event.seriesId === 'marks') {
    const mark = timeline.marks[event.data.mark];
    return plain(`${mark[2]}\n${moment(mark[1])}\n${mark[3]}`);
  }
  if (event.seriesId === 'pins') {
    const finding = data.findings[event.data.finding];
    return plain(`${moment(finding.time)}\n${finding.title.replace(/(.{60}\S*) /g, '$1\n')}`);
  }
  return '';
}

export function options(data, colors, width, view) {
  const { timeline } = data;
  const narrow = width < 560;
  const left = narrow ? 84 : 150;
  return {
    aria: { enabled: false }, // the box has its own label, and tables say the rest
    textStyle: { fontFamily: colors.font },
    grid: { left, right: narrow ? 12 : 24, top: 22, bottom: 74 },
    tooltip: { trigger: 'item', ...tooltip(colors, (event) => tip(data, event)) },
    xAxis: {
      type: 'value', min: 0, max: view.end, ...axisStyle(colors), splitNumber: narrow ? 3 : 7,
      axisLabel: { ...axisStyle(colors).axisLabel, hideOverlap: true, formatter: (value) => tick(value, view.to - view.from) },
    },
    yAxis: {
      type: 'category', inverse: true, data: timeline.lanes.map((lane) => lane.name), ...axisStyle(colors),
      splitArea: { show: true, areaStyle: { color: [colors.surface, colors.stripe] } }, splitLine: { show: false },
      axisLabel: { ...axisStyle(colors).axisLabel, color: colors.ink, interval: 0, width: left - 12, overflow: 'truncate' },
    },
    dataZoom: [
      { type: 'inside', xAxisIndex: 0, filterMode: 'weakFilter', startValue: view.from, endValue: view.to, minValueSpan: 20,
        zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, preventDefaultMouseMove: false },
      { type: 'slider', xAxisIndex: 0, filterMode: 'weakFilter', startValue: view.from, endValue: view.to, minValueSpan: 20,
        bottom: 12, height: 24, brushSelect: false, showDetail: false, showDataShadow: false, borderColor: colors.line,
        fillerColor: colors.stripe, handleStyle: { color: colors.surface, borderColor: colors.accent },
        moveHandleStyle: { color: colors.accent, opacity: 0.6 } },
    ],
    series: [spanSeries(timeline, colors), densitySeries(timeline, colors), barSeries(data, colors, stack(timeline)),
      markSeries(timeline, colors), pinSeries(data, colors)],
  };
}

