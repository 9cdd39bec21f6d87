import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ResetOffsetRequest } from "../../api/types";
import { useText } from "../../i18n";
import { useQueryState } from "../../router";
import { Form, NumberField, SelectField, TextField, TimeField } from "../../ui";

const PLACES = ["first", "last", "time", "offset"] as const;
type Place = (typeof PLACES)[number];

/** A whole number of the address; null if it is none. */
const numberOf = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);

/** Where a consumer group is to go. What is chosen is in the address. */
export function ResetForm(props: {
  /** Topics that it reads, to be suggested. */
  topics: string[];
  /** Only to the end of a topic. */
  skip: boolean;
  onPreview: (request: ResetOffsetRequest) => Promise<void>;
  /** A preview is of something else now. */
  onChange: () => void;
}): VNode {
  const t = useText();
  const g = t.group.to;
  const [topic, setTopic] = useQueryState("topic");
  const [to, setTo] = useQueryState("to", "first");
  const [queueText, setQueue] = useQueryState("queue");
  const [offsetText, setOffset] = useQueryState("offset");
  const [timeText, setTime] = useQueryState("time");
  const [tried, setTried] = useState(false);
  const place: Place = props.skip ? "last" : (PLACES.find((one) => one === to) ?? "first");
  const [queue, offset, time] = [numberOf(queueText), numberOf(offsetText), numberOf(timeText)];

  useEffect(() => {
    if (!topic && props.topics.length === 1) setTopic(props.topics[0] ?? "");
  }, []);

  const first = useRef(true);
  useEffect(() => {
    if (!first.current) props.onChange();
    first.current = false;
  }, [topic, place, queueText, offsetText, timeText]);

  const errors = {
    topic: topic ? "" : t.ui.fillIn,
    queue: (place === "offset" || queueText) && !props.skip && queue === null ? g.queueWrong : "",
    offset: place === "offset" && offset === null ? g.offsetWrong : "",
    time: place === "time" && time === null ? t.ui.fillIn : "",
  };
  const submit = async () => {
    setTried(true);
    if (Object.values(errors).some(Boolean)) return false;
    const request: ResetOffsetRequest = { topic };
    if (place === "first") request.to = "START_FROM_FIRST";
    if (place === "last") request.to = "START_FROM_LAST";
    if (place === "time") Object.assign(request, { to: "START_FROM_TIME", unix_ms: time });
    if (place === "offset" && offset !== null) request.offset = offset;
    if (queue !== null && !props.skip) request.queue = queue;
    await props.onPreview(request);
    return true;
  };
  const shown = (n: number | null) => (n === null ? "" : String(n));
  // What was typed stays, even if it is wrong.
  const typed = (text: string) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));
  return (
    <div class="narrow">
      <Form submit={props.skip ? g.previewSkip : g.preview} onSubmit={submit}>
        <TextField label={g.topic} required mono list={props.topics} value={topic} onChange={setTopic} hint={g.topicHint} error={tried ? errors.topic : ""} />
        {!props.skip && (
          <div class="field-row">
            <SelectField label={g.place} value={place} onChange={setTo} options={PLACES.map((value) => ({ value, label: g[value] }))} />
            {place === "time" && <TimeField label={g.moment} required value={time} onChange={(ms) => setTime(shown(ms))} error={tried ? errors.time : ""} />}
            <NumberField
              label={g.queue}
              required={place === "offset"}
              min={0}
              value={typed(queueText)}
              onChange={(n) => setQueue(shown(n))}
              hint={place === "offset" ? undefined : g.queueHint}
              error={tried ? errors.queue : ""}
            />
            {place === "offset" && (
              <NumberField label={g.offset_} required min={0} value={typed(offsetText)} onChange={(n) => setOffset(shown(n))} error={tried ? errors.offset : ""} />
            )}
          </div>
        )}
      </Form>
    </div>
  );
}
