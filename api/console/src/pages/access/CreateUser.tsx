import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../../api/calls";
import { useText } from "../../i18n";
import { CheckField, Dialog, Form, TextField, toast } from "../../ui";
import { Warning, type Made } from "./Secret";

export function CreateUser(props: { onClose: () => void; onMade: (made: Made | null) => void }): VNode {
  const t = useText();
  const [name, setName] = useState("");
  const [secret, setSecret] = useState("");
  const [admin, setAdmin] = useState(false);
  const [tried, setTried] = useState(false);
  const submit = async () => {
    setTried(true);
    if (!name) return false;
    const answer = await access.create({ name, secret, admin });
    if (answer.secret) props.onMade({ user: name, secret: answer.secret });
    else props.onMade(null);
    toast.done(t.access.made(name));
    props.onClose();
    return true;
  };
  return (
    <Dialog title={t.access.create} onClose={props.onClose}>
      <Form onSubmit={submit} submit={t.access.createNow} need="administer" onCancel={props.onClose}>
        <TextField label={t.access.name} value={name} onChange={setName} error={tried && !name ? t.ui.fillIn : ""} hint={t.access.nameHint} required mono />
        <TextField label={t.access.secret} type="password" value={secret} onChange={setSecret} hint={t.access.secretHint} autocomplete="new-password" />
        <CheckField label={t.access.adminField} value={admin} onChange={setAdmin} hint={t.access.adminHint} />
        {admin && <Warning text={t.access.adminWarning} />}
      </Form>
    </Dialog>
  );
}
