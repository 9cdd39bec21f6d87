import type { VNode } from "preact";
import { useText } from "../i18n";
import { Loading } from "../ui";

/** What stands in for a page that is not written yet. */
export function Pending(): VNode {
  return <Loading what={useText().common.pending} />;
}
