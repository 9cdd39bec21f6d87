import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Role } from "../api/types";
import { useText } from "../i18n";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { TextField } from "./Field";
import { Form } from "./Form";
import { isRunning, useSteps, type StepsControl } from "./steps";
import { StepsView } from "./StepsView";

export interface StepsDialogProps {
  title: string;
  /** What will happen, and what has to be chosen. */
  children: ComponentChildren;
  /** The text of the button: what it does. */
  submit: string;
  /** What is said while it runs, and once it is done. */
  label: string;
  done: string;
  action: (control: StepsControl) => Promise<unknown>;
  /** False: a field is wrong, and says so. */
  check?: () => boolean;
  need?: Role;
  kind?: "primary" | "danger";
  /** What is destroyed: its name has to be typed. */
  name?: string;
  wide?: boolean;
  onClose: () => void;
}

/** Says what will be done, does it in several calls, and shows how far it is. Closing it stops after the call that runs. */
export function StepsDialog(props: StepsDialogProps): VNode {
  const t = useText().ui;
  const steps = useSteps();
  const [typed, setTyped] = useState("");
  const [tried, setTried] = useState(false);
  const shown = useRef<HTMLDivElement>(null);
  const { state } = steps.now;
  // The form that had the focus is gone.
  useEffect(() => {
    if (state !== "idle") shown.current?.focus();
  }, [state === "idle"]);
  const wrong = props.name !== undefined && typed !== props.name;
  const submit = async () => {
    setTried(true);
    const fine = props.check?.() ?? true;
    if (wrong || !fine) return false;
    void steps.start(props.action);
    return true;
  };
  return (
    <Dialog title={props.title} onClose={props.onClose} wide={props.wide}>
      {state === "idle" ? (
        <Form onSubmit={submit} submit={props.submit} kind={props.kind} need={props.need} onCancel={props.onClose}>
          {props.children}
          {props.name !== undefined && (
            <TextField label={t.typeName(props.name)} value={typed} onChange={setTyped} error={tried && wrong ? t.typeNameWrong : ""} mono />
          )}
        </Form>
      ) : (
        <div class="form" ref={shown} tabIndex={-1}>
          <StepsView steps={steps} label={props.label} done={props.done} />
          {isRunning(steps) ? <p class="hint">{t.closingStops}</p> : (
            <div class="form-actions">
              {state !== "done" && <Button onClick={steps.reset}>{t.back}</Button>}
              <Button kind="primary" onClick={props.onClose}>{t.close}</Button>
            </div>
          )}
        </div>
      )}
    </Dialog>
  );
}
