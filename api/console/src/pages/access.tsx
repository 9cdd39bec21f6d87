import type { VNode } from "preact";
import { useText } from "../i18n";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function AccessPage(): VNode {
  const t = useText().access;
  return (
    <Page title={t.title}>
      <Pending />
    </Page>
  );
}
