import type { VNode } from "preact";
import { useText } from "../i18n";
import type { PageProps } from "../routes";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function TopicPage(props: PageProps): VNode {
  const t = useText().topic;
  const name = props.params["name"] ?? "";
  return (
    <Page title={`${t.title} ${name}`}>
      <Pending />
    </Page>
  );
}
