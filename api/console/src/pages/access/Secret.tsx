import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { useText } from "../../i18n";
import { Button, Copyable, Dialog, Icon } from "../../ui";

/** A user with the secret that was made for it. */
export interface Made {
  user: string;
  secret: string;
}

/** Shows a secret, once: the nodes do not tell it again. */
export function SecretDialog(props: { made: Made; onClose: () => void }): VNode {
  const t = useText().access;
  const { user, secret } = props.made;
  // Escape is pressed by mistake easily.
  const [leaving, leave] = useState(false);
  return (
    <Dialog title={t.secretOf(user)} onClose={() => (leaving ? props.onClose() : leave(true))}>
      <div class="secret">
        <p class="warning"><Icon name="warn" /><span>{t.secretOnce}</span></p>
        <Copyable value={secret} name={t.secret} />
      </div>
      <p class="muted">{t.secretUse(user)}</p>
      <div role="status">{leaving && <strong>{t.secretLeave}</strong>}</div>
      <div class="form-actions"><Button kind="primary" onClick={props.onClose}>{t.secretKept}</Button></div>
    </Dialog>
  );
}

/** Something that one should know before one does it. */
export function Warning(props: { text: string }): VNode {
  return <p class="warning" role="note"><Icon name="warn" /><span>{props.text}</span></p>;
}
