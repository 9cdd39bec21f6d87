import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { usePlace } from "../router";
import { useSession } from "../session";
import { Link } from "./Link";

/** One step of the way to a page. */
export interface Crumb {
  title: string;
  to: string;
  params?: Record<string, string>;
}

export interface PageFrameProps {
  title: string;
  /** A sentence below the title. */
  lead?: ComponentChildren;
  /** Buttons beside the title. */
  actions?: ComponentChildren;
  /** The pages above this one. */
  crumbs?: Crumb[];
  children?: ComponentChildren;
}

// The first page takes no focus: the browser begins at the top.
let firstPath: string | null = null;
let moved = false;

/** The frame of a page: its heading, and the title of the window. Whoever came here by a link begins at the heading. */
export function Page(props: PageFrameProps): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  const { path } = usePlace();
  const cluster = useSession()?.cluster;
  useEffect(() => {
    document.title = [props.title, cluster, "LedgerMQ"].filter(Boolean).join(" · ");
  }, [props.title, cluster]);
  useEffect(() => {
    firstPath ??= path;
    moved ||= firstPath !== path;
    if (!moved) return;
    heading.current?.focus({ preventScroll: true });
  }, [path]);
  return (
    <div class="page">
      <div class="page-head">
        <div class="page-title">
          {props.crumbs && <Crumbs crumbs={props.crumbs} />}
          <h1 ref={heading} tabIndex={-1}>{props.title}</h1>
          {props.lead && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
      {props.children}
    </div>
  );
}

function Crumbs(props: { crumbs: Crumb[] }): VNode {
  return (
    <div class="crumbs">
      {props.crumbs.map((crumb) => (
        <span key={crumb.to}>
          <Link to={crumb.to} params={crumb.params}>{crumb.title}</Link>
          <span class="muted" aria-hidden="true"> / </span>
        </span>
      ))}
    </div>
  );
}
