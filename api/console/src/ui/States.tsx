import type { ComponentChildren, VNode } from "preact";
import type { Loaded } from "../api/load";
import { ApiError } from "../api/client";
import { text, useText } from "../i18n";
import { Button } from "./Button";
import { Icon } from "./Icon";

/** Something is on its way. */
export function Loading(props: { what?: string }): VNode {
  const t = useText();
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{props.what ?? t.ui.loading}</p>
    </div>
  );
}

/** There is nothing. Say what to do about it in `hint` or `action`. */
export function Empty(props: { title: string; hint?: ComponentChildren; action?: ComponentChildren }): VNode {
  return (
    <div class="state">
      <Icon name="none" />
      <p>{props.title}</p>
      {props.hint && <p class="muted">{props.hint}</p>}
      {props.action}
    </div>
  );
}

/** What went wrong, in words for people, and a way to try again. */
export function ErrorState(props: { error: unknown; retry?: () => void }): VNode {
  const t = useText();
  return (
    <div class="state bad" role="alert">
      <Icon name="bad" />
      <p><strong>{t.ui.failed}</strong></p>
      <p>{errorText(props.error)}</p>
      {props.retry && <Button onClick={props.retry}>{t.ui.retry}</Button>}
    </div>
  );
}

/** An error as a sentence. */
export function errorText(error: unknown): string {
  const t = text().ui;
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.code === "NETWORK") return t.network;
  const own = error.message || t.unknownError(error.status);
  const kind = t.errorKinds[error.code];
  const said = kind ? t.saidOf(kind, own) : own;
  return error.code === "DEADLINE_EXCEEDED" ? `${said} ${t.outcomeUnknown}` : said;
}

/** What was loaded, or that it loads, or why it could not be. Old data stays visible below a later error. */
export function Await<T>(props: { of: Loaded<T>; children: (data: T) => ComponentChildren }): VNode {
  const { data, error, reload } = props.of;
  if (data === null) return error ? <ErrorState error={error} retry={reload} /> : <Loading />;
  return (
    <>
      {error ? <ErrorState error={error} retry={reload} /> : null}
      {props.children(data)}
    </>
  );
}
