import type { VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { useText } from "../i18n";
import { useLanguage } from "../i18n/language";
import { clock } from "../time";
import { useShownTheme } from "../theme";
import { makePlot } from "./plot";
import { Table, type Column } from "./Table";

/** One line of a chart. Each has its own dash, so that colour is not all that tells them apart. */
export interface Series {
  label: string;
  values: readonly (number | null)[];
}

export interface ChartProps {
  title: string;
  /** When the values are, in milliseconds, ascending. */
  times: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  height?: number;
  /** Prefix of the table's keys in the address; needed if a page has several charts. */
  name?: string;
}

/** Lines over time. What is drawn can also be read as a table. */
export function Chart(props: ChartProps): VNode {
  const t = useText();
  const [at, setAt] = useState<number | null>(null);
  const empty = props.times.length === 0;
  const index = at ?? props.times.length - 1;
  const moment = props.times[index];
  return (
    <figure class="chart">
      <figcaption>
        <h3>{props.title}</h3>
        <Legend {...props} index={index} />
        <span class="chart-time">{moment === undefined ? "" : at === null ? t.ui.latest : clock(moment, true)}</span>
      </figcaption>
      {empty ? <p class="state muted">{t.ui.chartEmpty}</p> : <Plot {...props} onIndex={setAt} />}
      {!empty && <Values {...props} />}
    </figure>
  );
}

function Legend(props: ChartProps & { index: number }): VNode {
  return (
    <ul class="legend">
      {props.series.map((line, i) => {
        const value = line.values[props.index];
        return (
          <li key={line.label} class={`series-${i + 1}`}>
            <svg viewBox="0 0 22 4" aria-hidden="true"><path d="M0 2h22" /></svg>
            {line.label} <strong>{value === null || value === undefined ? "–" : props.format(value)}</strong>
          </li>
        );
      })}
    </ul>
  );
}

function Plot(props: ChartProps & { onIndex: (index: number | null) => void }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useShownTheme();
  const language = useLanguage();
  const data = useMemo(() => [props.times.map((ms) => ms / 1_000), ...props.series.map((s) => [...s.values])], [props.times, props.series]);
  const height = props.height ?? 180;
  const lines = props.series.length;

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const made = makePlot(element, { lines, height, format: props.format, onIndex: props.onIndex }, data as uPlot.AlignedData);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines, height, language]);
  useEffect(() => plot.current?.setData(data as uPlot.AlignedData), [data]);
  // Colours are read from the style sheet while it is drawn.
  useEffect(() => plot.current?.redraw(false, true), [shown]);
  return <div class="plot" ref={box} style={{ height: `${height}px` }} aria-hidden="true" />;
}

interface Point {
  ms: number;
  values: (number | null)[];
}

/** The same values for those who cannot see the chart; made once it is opened. */
function Values(props: ChartProps): VNode {
  const t = useText();
  const [open, setOpen] = useState(false);
  const columns: Column<Point>[] = [
    { key: "time", title: t.ui.time, cell: (p) => clock(p.ms, true), value: (p) => p.ms },
    ...props.series.map((line, i): Column<Point> => ({
      key: `v${i}`,
      title: line.label,
      cell: (p) => (p.values[i] === null || p.values[i] === undefined ? "–" : props.format(p.values[i])),
      value: (p) => p.values[i],
      end: true,
    })),
  ];
  const points = open ? props.times.map((ms, i) => ({ ms, values: props.series.map((s) => s.values[i] ?? null) })) : [];
  return (
    <details class="chart-values" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t.ui.chartTable}<span class="hidden">: {props.title}</span></summary>
      {open && (
        <Table
          caption={props.title}
          rows={points}
          columns={columns}
          rowKey={(p) => String(p.ms)}
          sort="-time"
          pageSize={12}
          name={props.name ?? "chart"}
        />
      )}
    </details>
  );
}
