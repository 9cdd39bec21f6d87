import type { ComponentChildren } from "preact";

export interface Column<R> {
  /** In the address, when it is sorted by it. */
  key: string;
  title: string;
  cell: (row: R) => ComponentChildren;
  /** What it is sorted by and, unless `text` is given, filtered by. Without it the column is not sortable. */
  value?: (row: R) => string | number | boolean | null | undefined;
  /** What it is filtered by. */
  text?: (row: R) => string;
  /** Aligned to the end: figures. Sorted downwards first. */
  end?: boolean;
}

export interface Sort {
  key: string;
  down: boolean;
}

/** "-lag" is by lag, downwards. */
export function parseSort(text: string): Sort {
  return text.startsWith("-") ? { key: text.slice(1), down: true } : { key: text, down: false };
}

/** The rows that match all words of a filter, in order. */
export function arrange<R>(rows: readonly R[], columns: readonly Column<R>[], query: string, sort: Sort): readonly R[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? rows.filter((row) => matches(row, columns, words)) : rows;
  const by = columns.find((column) => column.key === sort.key)?.value;
  if (!by) return found;
  const sign = sort.down ? -1 : 1;
  return found
    .map((row) => ({ row, value: by(row) }))
    .sort((a, b) => compare(a.value, b.value, sign))
    .map(({ row }) => row);
}

function matches<R>(row: R, columns: readonly Column<R>[], words: string[]): boolean {
  const all = columns.map((column) => (column.text ? column.text(row) : String(column.value?.(row) ?? ""))).join("\n").toLowerCase();
  return words.every((word) => all.includes(word));
}

const collator = new Intl.Collator(undefined, { numeric: true });
type Value = string | number | boolean | null | undefined;

/** What is not there comes last, whichever way it is sorted. */
function compare(a: Value, b: Value, sign: number): number {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "string" && typeof b === "string") return sign * collator.compare(a, b);
  return sign * (Number(a) - Number(b));
}
