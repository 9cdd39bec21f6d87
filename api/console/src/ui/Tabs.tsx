import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useQueryState } from "../router";

export interface Tab {
  /** In the address. */
  id: string;
  title: string;
  /** Beside the title. */
  count?: number | string;
  content: () => ComponentChildren;
}

/** Tabs of which the address says which one is open. The first is open by default. */
export function Tabs(props: { label: string; tabs: Tab[]; param?: string }): VNode {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const first = props.tabs[0]?.id ?? "";
  const [wanted, open] = useQueryState(props.param ?? "tab", first, { push: true });
  const at = Math.max(0, props.tabs.findIndex((tab) => tab.id === wanted));
  // Where there is little room, the list scrolls to the tab that is open.
  useEffect(() => {
    const tab = list.current?.querySelector<HTMLElement>("[aria-selected=true]");
    if (!tab || !list.current) return;
    const [from, to] = [tab.offsetLeft - list.current.offsetLeft, tab.offsetLeft - list.current.offsetLeft + tab.offsetWidth];
    if (from < list.current.scrollLeft) list.current.scrollLeft = from;
    else if (to > list.current.scrollLeft + list.current.clientWidth) list.current.scrollLeft = to - list.current.clientWidth;
  }, [at]);
  const move = (event: KeyboardEvent) => {
    const last = props.tabs.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    const next = to === undefined ? undefined : props.tabs[to];
    if (!next) return;
    event.preventDefault();
    open(next.id);
    list.current?.querySelectorAll<HTMLElement>("[role=tab]")[to ?? 0]?.focus();
  };
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={props.label} ref={list} onKeyDown={move}>
        {props.tabs.map((tab, i) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${id}-${tab.id}`}
            aria-selected={i === at}
            aria-controls={i === at ? `${id}-panel` : undefined}
            tabIndex={i === at ? 0 : -1}
            onClick={() => open(tab.id)}
          >
            {tab.title}
            {tab.count !== undefined && <span class="count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${props.tabs[at]?.id ?? ""}`} class="tab-panel">
        {props.tabs[at]?.content()}
      </div>
    </div>
  );
}
