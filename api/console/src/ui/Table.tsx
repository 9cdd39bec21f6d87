import type { ComponentChildren, VNode } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { useText } from "../i18n";
import { useLanguage } from "../i18n/language";
import { useQueryState } from "../router";
import { Button } from "./Button";
import { Icon } from "./Icon";
import { Empty } from "./States";
import { FilterBox, Pager, useOverflows } from "./tableparts";
import { arrange, parseSort, type Column, type Sort } from "./tablerows";

export type { Column } from "./tablerows";

/** Which rows are ticked, by their keys. */
export interface Selection {
  keys: ReadonlySet<string>;
  set: (keys: ReadonlySet<string>) => void;
}

export interface TableProps<R> {
  /** Read out by screen readers; also names the box around the table. */
  caption: string;
  rows: readonly R[];
  columns: readonly Column<R>[];
  rowKey: (row: R) => string;
  /** How it is sorted at first: a column's key, with "-" in front for descending. Empty: as the rows come. */
  sort?: string;
  /** A box that filters the rows by the texts of their columns. */
  filter?: boolean;
  pageSize?: number;
  /** Prefix of its keys in the address; needed if a page has several tables with a state. */
  name?: string;
  /** What is shown instead of a table without rows. */
  empty?: ComponentChildren;
  selection?: Selection;
  /** On a narrow screen rows become cards, instead of scrolling sideways. Then they cannot be sorted there. */
  cards?: boolean;
  /** More controls, beside the filter. */
  tools?: ComponentChildren;
}

// Roles are spelt out since tables that are laid out as cards lose theirs.

/** A table whose filter, order and page are in the address. It renders one page of rows at a time. */
export function Table<R>(props: TableProps<R>): VNode {
  const t = useText();
  const language = useLanguage();
  const prefix = props.name ? `${props.name}.` : "";
  const [query, setQuery] = useQueryState(`${prefix}q`);
  const [order, setOrder] = useQueryState(`${prefix}sort`, props.sort ?? "");
  const [pageText, setPage] = useQueryState(`${prefix}page`, "1", { push: true });
  const box = useRef<HTMLDivElement>(null);
  const overflows = useOverflows(box);

  const sort = parseSort(order);
  const size = props.pageSize ?? 50;
  const matching = useMemo(
    () => arrange(props.rows, props.columns, props.filter ? query : "", sort),
    // Columns are made anew with every rendering; what they say of a row does not change unless the rows do.
    [props.rows, props.filter, query, order, language],
  );
  const pages = Math.max(1, Math.ceil(matching.length / size));
  const page = Math.min(pages, Math.max(1, Number.parseInt(pageText, 10) || 1));
  const shown = matching.slice((page - 1) * size, page * size);
  const filterTo = (text: string) => {
    setQuery(text);
    setPage1(prefix, setPage);
  };

  if (props.rows.length === 0 && props.empty) return <>{props.empty}</>;
  return (
    <div class="table-frame">
      {(props.filter || props.tools) && (
        <div class="table-tools">
          {props.filter && <FilterBox value={query} onChange={filterTo} />}
          {props.filter && <span class="muted" role="status">{t.ui.rows(matching.length, props.rows.length)}</span>}
          {props.tools}
        </div>
      )}
      <div class="table-box" ref={box} role="group" aria-label={props.caption} tabIndex={overflows ? 0 : undefined}>
        <table class={props.cards ? "cards" : ""} role="table">
          <caption class="hidden">{props.caption}</caption>
          <thead role="rowgroup">
            <tr role="row">
              {props.selection && <SelectAll rows={matching} rowKey={props.rowKey} selection={props.selection} />}
              {props.columns.map((column) => (
                <Heading key={column.key} column={column} sort={sort} onSort={setOrder} />
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.map((row) => (
              <Row key={props.rowKey(row)} row={row} {...props} />
            ))}
          </tbody>
        </table>
      </div>
      {matching.length === 0 && (
        <Empty title={t.ui.noMatch} action={query && <Button onClick={() => filterTo("")}>{t.ui.clearFilter}</Button>} />
      )}
      {pages > 1 && <Pager of={props.caption} page={page} pages={pages} onPage={(to) => setPage(String(to))} />}
    </div>
  );
}

/** A filter begins at the first page again, without a step in the history. */
function setPage1(prefix: string, setPage: (page: string) => void): void {
  if (new URLSearchParams(window.location.search).has(`${prefix}page`)) setPage("1");
}

function Row<R>(props: TableProps<R> & { row: R }): VNode {
  const { row, selection } = props;
  const key = props.rowKey(row);
  return (
    <tr role="row" class={selection?.keys.has(key) ? "selected" : ""}>
      {selection && <SelectRow name={key} selection={selection} />}
      {props.columns.map((column, i) =>
        // The first column names the row.
        i === 0 ? (
          <th key={column.key} scope="row" role="rowheader" data-label={column.title} class={column.end ? "end" : ""}>{column.cell(row)}</th>
        ) : (
          <td key={column.key} role="cell" data-label={column.title} class={column.end ? "end" : ""}>{column.cell(row)}</td>
        ),
      )}
    </tr>
  );
}

function Heading<R>(props: { column: Column<R>; sort: Sort; onSort: (order: string) => void }): VNode {
  const { column, sort } = props;
  const t = useText();
  const sorted = sort.key === column.key ? (sort.down ? "descending" : "ascending") : undefined;
  const align = column.end ? "end" : "";
  if (!column.value) return <th scope="col" role="columnheader" class={align}>{column.title}</th>;
  const next = sorted === "ascending" ? `-${column.key}` : sorted === "descending" ? column.key : (column.end ? "-" : "") + column.key;
  return (
    <th scope="col" role="columnheader" class={align} aria-sort={sorted}>
      <button type="button" class="sort" title={t.ui.sortBy(column.title)} onClick={() => props.onSort(next)}>
        {column.title}
        <Icon name={sorted === "ascending" ? "up" : sorted === "descending" ? "down" : "updown"} />
      </button>
    </th>
  );
}

function SelectAll<R>(props: { rows: readonly R[]; rowKey: (row: R) => string; selection: Selection }): VNode {
  const t = useText();
  const { keys, set } = props.selection;
  const all = props.rows.length > 0 && props.rows.every((row) => keys.has(props.rowKey(row)));
  return (
    <td role="cell" class="tick">
      <input
        type="checkbox"
        aria-label={t.ui.selectAll}
        checked={all}
        onChange={() => set(new Set(all ? [] : props.rows.map(props.rowKey)))}
      />
    </td>
  );
}

function SelectRow(props: { name: string; selection: Selection }): VNode {
  const t = useText();
  const { keys, set } = props.selection;
  const toggle = () => {
    const next = new Set(keys);
    if (!next.delete(props.name)) next.add(props.name);
    set(next);
  };
  return (
    <td role="cell" class="tick">
      <input type="checkbox" aria-label={t.ui.selectRow(props.name)} checked={keys.has(props.name)} onChange={toggle} />
    </td>
  );
}
