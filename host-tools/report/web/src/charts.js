// The chart library, with the parts used here and no others, and what every chart of the report shares.
// SPDX-License-Identifier: MIT
import { CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { CanvasRenderer } from 'echarts/renderers';

import { onThemeChange, theme } from './theme.js';

echarts.use([CustomChart, LineChart, ScatterChart, AriaComponent, DataZoomComponent, GridComponent, LegendComponent,
  MarkLineComponent, TooltipComponent, LabelLayout, CanvasRenderer]);

export const clip = echarts.graphic.clipRectByRect;

/// Text for a canvas tool tip: the library's rich text would read `{name|...}` as a style, so braces are widened.
export const plain = (text) => String(text).replaceAll('{', '❴').replaceAll('}', '❵');

/// A chart in `node` that follows size and colours. `options(colors, width)` gives what is drawn; `keep(chart)` what
/// of the state survives a redraw.
export function chart(node, options, keep = () => ({})) {
  // The library swallows every turn of the wheel; without Ctrl it must scroll the page.
  for (const wheel of ['wheel', 'mousewheel']) {
    node.addEventListener(wheel, (event) => { if (!event.ctrlKey) event.stopPropagation(); }, { capture: true, passive: true });
  }
  const instance = echarts.init(node, null, { renderer: 'canvas' });
  const draw = () => {
    const kept = keep(instance);
    instance.setOption({ animation: false, ...options(theme(), node.clientWidth) }, { notMerge: true });
    if (Object.keys(kept).length > 0) instance.setOption(kept);
  };
  draw();
  onThemeChange(draw);
  let width = node.clientWidth;
  new ResizeObserver(() => {
    if (node.clientWidth === 0 || node.clientWidth === width) return;
    width = node.clientWidth;
    instance.resize();
    draw();
  }).observe(node);
  return instance;
}

/// A tool tip drawn on the canvas: no markup, so nothing a guest chose can become any.
export const tooltip = (colors, formatter) => ({
  renderMode: 'richText',
  confine: true,
  backgroundColor: colors.surface,
  borderColor: colors.line,
  textStyle: { color: colors.ink, fontFamily: colors.font, fontSize: 12, lineHeight: 17 },
  formatter,
});

export const axisStyle = (colors) => ({
  axisLine: { lineStyle: { color: colors.line } },
  axisTick: { lineStyle: { color: colors.line } },
  axisLabel: { color: colors.muted, fontFamily: colors.font, fontSize: 11 },
  nameTextStyle: { color: colors.muted, fontFamily: colors.font, fontSize: 11 },
  splitLine: { lineStyle: { color: colors.stripe } },
});
