import type { VNode } from "preact";
import { groups as calls } from "../../api/calls";
import type { DescribeGroupResponse } from "../../api/types";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { Confirm, toast } from "../../ui";

/** Deletes a consumer group, once its name is typed. */
export function DeleteGroup(props: { data: DescribeGroupResponse; lag: number; onClose: () => void }): VNode {
  const t = useText().group;
  const { name } = props.data.group;
  const clients = props.data.clients.length;
  const remove = async () => {
    await calls.remove(name);
    toast.done(t.deleted(name));
    navigate(href("groups"));
  };
  // Once it is deleted the page is another one, and its query is no more this one's.
  const close = () => window.location.pathname === href("groups/:name", { name }) && props.onClose();
  return (
    <Confirm title={t.deleteTitle(name)} name={name} action={t.remove} onConfirm={remove} onClose={close}>
      <p>{t.deleteLag(props.lag)}</p>
      {clients > 0 && <p><strong>{t.deleteClients(clients)}</strong></p>}
      <p>{t.deleteLetters}</p>
    </Confirm>
  );
}
