import type { VNode } from "preact";
import { useText } from "../../i18n";
import { setQuery } from "../../router";
import { Button } from "../../ui";

// Marks of pages to which this button led. Whoever opened such a page by its address has no page before it.
const came = new Set<string>();

/** To the next page of an answer that goes on with a mark, and back to the first. The browser's "back" leads to the page before. */
export function PageSteps(props: { /** The key of the mark in the address. */ param: string; at: string; next: string }): VNode | null {
  const t = useText().messages;
  const { param, at, next } = props;
  if (!at && !next) return null;
  const go = (to: string | null) => setQuery({ [param]: to }, { push: true });
  const onward = () => {
    came.add(next);
    go(next);
  };
  return (
    <nav class="pager" aria-label={t.pages}>
      {came.has(at) && <Button size="small" onClick={() => history.back()}>{t.pageBefore}</Button>}
      {at && <Button size="small" onClick={() => go(null)}>{t.firstPage}</Button>}
      <Button size="small" unusable={next ? "" : t.lastPage} onClick={onward}>{t.nextPage}</Button>
    </nav>
  );
}
