import type { VNode } from "preact";
import { useText } from "../i18n";
import type { PageProps } from "../routes";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function DeadLettersGroupPage(props: PageProps): VNode {
  const t = useText().deadLettersGroup;
  const group = props.params["group"] ?? "";
  return (
    <Page title={`${t.title} ${group}`}>
      <Pending />
    </Page>
  );
}
