import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { useText } from "../i18n";
import { Dialog } from "./Dialog";
import { TextField } from "./Field";
import { Form } from "./Form";

export interface ConfirmProps {
  title: string;
  /** What is destroyed: its name has to be typed. Without a name it is only asked. */
  name?: string;
  /** What will happen, in plain words. */
  children: ComponentChildren;
  /** The text of the button: what it does, not "OK". */
  action: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before something is done that cannot be undone. Closes once it is done; if it fails, says why and stays. */
export function Confirm(props: ConfirmProps): VNode {
  const t = useText();
  const [typed, setTyped] = useState("");
  const [tried, setTried] = useState(false);
  const wrong = props.name !== undefined && typed !== props.name;
  const submit = async () => {
    setTried(true);
    if (wrong) return false;
    await props.onConfirm();
    props.onClose();
    return true;
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <Form onSubmit={submit} submit={props.action} kind="danger" onCancel={props.onClose}>
        <div>{props.children}</div>
        {props.name !== undefined && (
          <TextField
            label={t.ui.typeName(props.name)}
            value={typed}
            onChange={setTyped}
            error={tried && wrong ? t.ui.typeNameWrong : ""}
            mono
          />
        )}
      </Form>
    </Dialog>
  );
}
