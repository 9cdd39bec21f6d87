import type { VNode } from "preact";
import { useText } from "../i18n";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function DeadLettersPage(): VNode {
  const t = useText().deadLetters;
  return (
    <Page title={t.title}>
      <Pending />
    </Page>
  );
}
