import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { groups as calls } from "../../api/calls";
import type { StartFrom } from "../../api/types";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { CheckField, Dialog, Form, NumberField, SelectField, TextField, TimeField, toast } from "../../ui";
import { attemptsWrong, inFlightWrong } from "./numbers";
import { retryDraft, retryErrors, retryOf } from "./retry";
import { RetryFields } from "./RetryFields";

const NAME = /^[A-Za-z0-9_%|-]{1,120}$/;
const STARTS = ["START_FROM_FIRST", "START_FROM_LAST", "START_FROM_TIME"] as const;

/** Makes a consumer group, and goes to it. */
export function CreateGroup(props: { onClose: () => void }): VNode {
  const t = useText();
  const tt = t.groups;
  const [name, setName] = useState("");
  const [fifo, setFifo] = useState(false);
  const [attempts, setAttempts] = useState<number | null>(16);
  const [inFlight, setInFlight] = useState<number | null>(null);
  const [start, setStart] = useState<StartFrom>("START_FROM_FIRST");
  const [time, setTime] = useState<number | null>(null);
  const [retry, setRetry] = useState(retryDraft(null));
  const [ifNotExists, setIfNotExists] = useState(false);
  const [tried, setTried] = useState(false);
  const wrong = {
    name: !name ? t.ui.fillIn : NAME.test(name) ? "" : tt.nameWrong,
    attempts: attempts !== null && attemptsWrong(attempts) ? tt.attemptsWrong : "",
    inFlight: inFlightWrong(inFlight) ? tt.inFlightWrong : "",
    time: start === "START_FROM_TIME" && time === null ? t.ui.fillIn : "",
  };
  const wrongRetry = retryErrors(retry, tt.retry);

  const submit = async () => {
    setTried(true);
    if ([wrong, wrongRetry].some((errors) => Object.values(errors).some(Boolean))) return false;
    await calls.create({
      name,
      fifo,
      max_attempts: attempts ?? 0,
      start_from: start,
      start_unix_ms: start === "START_FROM_TIME" ? (time ?? 0) : 0,
      if_not_exists: ifNotExists,
      retry: retryOf(retry),
      in_flight_max: inFlight ?? 0,
    });
    toast.done(tt.created(name));
    navigate(href("groups/:name", { name }));
    return true;
  };
  return (
    <Dialog title={tt.create} onClose={props.onClose} wide>
      <Form submit={tt.create} onSubmit={submit} onCancel={props.onClose} need="operate">
        <TextField label={tt.name} required mono value={name} onChange={setName} hint={tt.nameHint} error={tried ? wrong.name : ""} />
        <CheckField label={tt.fifoLabel} hint={tt.fifoHint} value={fifo} onChange={setFifo} />
        <div class="field-row">
          <SelectField
            label={tt.start}
            value={start}
            onChange={setStart}
            hint={tt.startHint}
            options={STARTS.map((value) => ({ value, label: tt.starts[value] }))}
          />
          {start === "START_FROM_TIME" && <TimeField label={tt.startTime} required value={time} onChange={setTime} error={tried ? wrong.time : ""} />}
        </div>
        <div class="field-row">
          <NumberField label={tt.attemptsLabel} min={1} max={10_000} value={attempts} onChange={setAttempts} hint={tt.attemptsHint} error={tried ? wrong.attempts : ""} />
          <NumberField label={tt.inFlightLabel} min={1} value={inFlight} onChange={setInFlight} hint={tt.inFlightHint} error={tried ? wrong.inFlight : ""} />
        </div>
        <RetryFields draft={retry} onChange={setRetry} errors={tried ? wrongRetry : null} modes={["default", "levels", "exponential"]} />
        <CheckField label={tt.ifNotExists} hint={tt.ifNotExistsHint} value={ifNotExists} onChange={setIfNotExists} />
      </Form>
    </Dialog>
  );
}
