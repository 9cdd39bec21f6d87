import type { VNode } from "preact";
import { useText } from "../i18n";
import type { PageProps } from "../routes";
import { Page } from "../ui";
import { Pending } from "./pending";

export default function AccessUserPage(props: PageProps): VNode {
  const t = useText().accessUser;
  const user = props.params["user"] ?? "";
  return (
    <Page title={`${t.title} ${user}`}>
      <Pending />
    </Page>
  );
}
