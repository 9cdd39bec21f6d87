import type { VNode } from "preact";
import { useText } from "../i18n";
import type { PageProps } from "../routes";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function MessagePage(props: PageProps): VNode {
  const t = useText().message;
  const id = props.params["id"] ?? "";
  return (
    <Page title={`${t.title} ${id}`}>
      <Pending />
    </Page>
  );
}
