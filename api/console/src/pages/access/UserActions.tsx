import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../../api/calls";
import type { User } from "../../api/types";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { loadSession, useSession } from "../../session";
import { Button, Confirm, Dialog, Form, TextField, toast } from "../../ui";
import { stayIn } from "./own";
import { SecretDialog, Warning, type Made } from "./Secret";

type Asked = "secret" | "enabled" | "admin" | "delete" | null;

/** New secret, enabled or not, administrator or not, gone. What cuts off the branch that one sits on says so. */
export function UserActions(props: { user: User; onChanged: () => void }): VNode {
  const t = useText().accessUser;
  const { user, onChanged } = props;
  const [asked, ask] = useState<Asked>(null);
  const [made, setMade] = useState<Made | null>(null);
  const self = useSession()?.user === user.name;
  const close = () => ask(null);
  const changed = (said: string) => {
    toast.done(said);
    onChanged();
    // Whoever changes what they are themselves sees at once what they may still do.
    if (self) void loadSession();
  };
  const setEnabled = async () => {
    await access.update(user.name, { enabled: !user.enabled });
    changed(user.enabled ? t.disabled : t.enabledNow);
  };
  const setAdmin = async () => {
    await access.update(user.name, { admin: !user.admin });
    changed(user.admin ? t.adminTaken : t.adminGiven);
  };
  const remove = async () => {
    await access.remove(user.name);
    toast.done(t.deleted(user.name));
    if (self) await loadSession();
    else navigate(href("access"));
  };
  return (
    <>
      <Button need="administer" onClick={() => ask("secret")}>{t.newSecret}</Button>
      <Button need="administer" onClick={() => ask("enabled")}>{user.enabled ? t.disable : t.enable}</Button>
      <Button need="administer" onClick={() => ask("admin")}>{user.admin ? t.takeAdmin : t.giveAdmin}</Button>
      <Button need="administer" kind="danger" onClick={() => ask("delete")}>{t.delete}</Button>
      {asked === "secret" && <NewSecret user={user} self={self} onClose={close} onMade={setMade} />}
      {asked === "enabled" && (
        <Confirm title={user.enabled ? t.disable : t.enable} action={user.enabled ? t.disable : t.enable} onConfirm={setEnabled} onClose={close} name={self && user.enabled ? user.name : undefined}>
          <p>{user.enabled ? t.disableText(user.name) : t.enableText(user.name)}</p>
          {self && user.enabled && <Warning text={t.selfDisable} />}
        </Confirm>
      )}
      {asked === "admin" && (
        <Confirm title={user.admin ? t.takeAdmin : t.giveAdmin} action={user.admin ? t.takeAdmin : t.giveAdmin} onConfirm={setAdmin} onClose={close} name={self && user.admin ? user.name : undefined}>
          <p>{user.admin ? t.takeAdminText(user.name) : t.giveAdminText(user.name)}</p>
          {self && user.admin && <Warning text={t.selfAdmin} />}
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm title={t.delete} name={user.name} action={t.delete} onConfirm={remove} onClose={close}>
          <p>{t.deleteText(user.name)}</p>
          {self && <Warning text={t.selfDelete} />}
        </Confirm>
      )}
      {made && <SecretDialog made={made} onClose={() => setMade(null)} />}
    </>
  );
}

function NewSecret(props: { user: User; self: boolean; onClose: () => void; onMade: (made: Made) => void }): VNode {
  const t = useText().accessUser;
  const { user } = props;
  const [own, setOwn] = useState("");
  const submit = async () => {
    const change = () => access.update(user.name, own ? { secret: own } : { new_secret: true });
    const answer = props.self ? await stayIn(user.name, own, change) : await change();
    toast.done(t.secretChanged);
    // A secret of one's own is not shown: whoever typed it knows it.
    if (answer.secret) props.onMade({ user: user.name, secret: answer.secret });
    props.onClose();
  };
  return (
    <Dialog title={t.newSecret} onClose={props.onClose}>
      <Form onSubmit={submit} submit={t.newSecret} kind="danger" need="administer" onCancel={props.onClose}>
        <p>{t.newSecretText(user.name)}</p>
        {props.self && <Warning text={t.selfSecret} />}
        <TextField label={t.ownSecret} type="password" value={own} onChange={setOwn} hint={t.ownSecretHint} autocomplete="new-password" />
      </Form>
    </Dialog>
  );
}
