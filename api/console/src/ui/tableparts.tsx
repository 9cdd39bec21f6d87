import type { RefObject, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useText } from "../i18n";
import { Button } from "./Button";

/** A box to filter by. The address follows a moment after the last key. */
export function FilterBox(props: { value: string; onChange: (value: string) => void }): VNode {
  const t = useText();
  const [typed, setTyped] = useState(props.value);
  const told = useRef(props.value);
  useEffect(() => {
    // The address changed by itself: a step back, or the filter was cleared.
    if (props.value !== told.current) setTyped(props.value);
    told.current = props.value;
  }, [props.value]);
  useEffect(() => {
    if (typed === told.current) return undefined;
    const timer = window.setTimeout(() => {
      told.current = typed;
      props.onChange(typed);
    }, 150);
    return () => window.clearTimeout(timer);
  }, [typed]);
  return (
    <input
      type="search"
      class="filter"
      aria-label={t.ui.filterHint}
      placeholder={t.ui.filter}
      value={typed}
      spellcheck={false}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  );
}

/** Steps through pages. */
export function Pager(props: { of: string; page: number; pages: number; onPage: (page: number) => void }): VNode {
  const t = useText();
  const { page, pages } = props;
  return (
    <nav class="pager" aria-label={`${t.ui.pages}: ${props.of}`}>
      <Button size="small" unusable={page <= 1 ? t.ui.page(page, pages) : ""} onClick={() => props.onPage(page - 1)}>
        {t.ui.previous}
      </Button>
      <span role="status">{t.ui.page(page, pages)}</span>
      <Button size="small" unusable={page >= pages ? t.ui.page(page, pages) : ""} onClick={() => props.onPage(page + 1)}>
        {t.ui.next}
      </Button>
    </nav>
  );
}

/** Whether something is wider than its box: then the box has to be reachable by keyboard, to scroll it. */
export function useOverflows(box: RefObject<HTMLElement>): boolean {
  const [overflows, set] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () => set(element.scrollWidth > element.clientWidth + 1);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return overflows;
}
