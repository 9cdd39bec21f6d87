import type { VNode } from "preact";
import { useText } from "../i18n";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function ClusterPage(): VNode {
  const t = useText().cluster;
  return (
    <Page title={t.title}>
      <Pending />
    </Page>
  );
}
