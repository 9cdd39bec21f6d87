import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { groups as calls } from "../../api/calls";
import type { Group, UpdateGroupRequest } from "../../api/types";
import { useText } from "../../i18n";
import { Dialog, Form, NumberField, toast } from "../../ui";
import { attemptsWrong, inFlightWrong } from "../groups/numbers";
import { retryDraft, retryErrors, retryOf } from "../groups/retry";
import { RetryFields } from "../groups/RetryFields";

/** Changes a consumer group. Only what was changed here is sent. */
export function ChangeGroup(props: { group: Group; onClose: () => void; onDone: () => void }): VNode {
  const t = useText();
  const tt = t.groups;
  // What it was when the form was opened: what others change meanwhile stays theirs.
  const [before] = useState(props.group);
  const [attempts, setAttempts] = useState<number | null>(before.max_attempts);
  const [inFlight, setInFlight] = useState<number | null>(before.in_flight_max || null);
  const [retry, setRetry] = useState(() => retryDraft(before.retry));
  const [tried, setTried] = useState(false);
  const wrongRetry = retryErrors(retry, tt.retry);

  const submit = async () => {
    setTried(true);
    if (attemptsWrong(attempts) || inFlightWrong(inFlight) || Object.values(wrongRetry).some(Boolean)) return false;
    const change: UpdateGroupRequest = {};
    if (attempts !== null && attempts !== before.max_attempts) change.max_attempts = attempts;
    if ((inFlight ?? 0) !== before.in_flight_max) change.in_flight_max = inFlight ?? 0;
    const policy = retryOf(retry);
    if (policy && JSON.stringify(policy) !== JSON.stringify(retryOf(retryDraft(before.retry)))) change.retry = policy;
    if (Object.keys(change).length === 0) throw new Error(t.group.nothingChanged);
    await calls.update(before.name, change);
    toast.done(t.group.changed);
    props.onDone();
    props.onClose();
    return true;
  };
  return (
    <Dialog title={t.group.changeTitle(before.name)} onClose={props.onClose} wide>
      <Form submit={t.ui.save} onSubmit={submit} onCancel={props.onClose} need="operate">
        <div class="field-row">
          <NumberField
            label={tt.attemptsLabel}
            required
            min={1}
            max={10_000}
            value={attempts}
            onChange={setAttempts}
            hint={tt.attemptsHintChange}
            error={tried && attemptsWrong(attempts) ? tt.attemptsWrong : ""}
          />
          <NumberField
            label={tt.inFlightLabel}
            min={0}
            value={inFlight}
            onChange={setInFlight}
            hint={tt.inFlightHint}
            error={tried && inFlightWrong(inFlight) ? tt.inFlightWrong : ""}
          />
        </div>
        <RetryFields draft={retry} onChange={setRetry} errors={tried ? wrongRetry : null} modes={["levels", "exponential"]} />
      </Form>
    </Dialog>
  );
}
