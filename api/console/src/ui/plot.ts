import uPlot from "uplot";
import { clock } from "../time";

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [1, 2]];

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export interface PlotOptions {
  lines: number;
  height: number;
  format: (value: number) => string;
  /** Where the pointer is; null: not over the chart. */
  onIndex: (index: number | null) => void;
}

/** Draws lines into an element, in the colours of the theme. */
export function makePlot(element: HTMLElement, options: PlotOptions, data: uPlot.AlignedData): uPlot {
  const axis: uPlot.Axis = {
    stroke: () => token("--text-2"),
    font: `11px ${token("--font")}`,
    grid: { stroke: () => token("--grid"), width: 1 },
    ticks: { show: false },
  };
  const lines = Array.from({ length: options.lines }, (_, i): uPlot.Series => ({
    stroke: () => token(`--series-${(i % 6) + 1}`),
    width: 1.6,
    dash: DASHES[i % DASHES.length],
    points: { show: false },
    // A node that was away leaves a gap.
    spanGaps: false,
  }));
  return new uPlot(
    {
      width: Math.max(1, element.clientWidth),
      height: options.height,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
      series: [{}, ...lines],
      axes: [
        { ...axis, values: (_, splits, __, ___, step) => splits.map((s) => clock(s * 1_000, step % 60 !== 0)), space: 64, size: 28 },
        { ...axis, values: (_, splits) => splits.map((v) => options.format(v)), size: 72 },
      ],
      hooks: { setCursor: [(u) => options.onIndex(u.cursor.idx ?? null)] },
    },
    data,
    element,
  );
}
