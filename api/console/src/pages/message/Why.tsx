import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { messages, observe } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { ExplainDeliveryResponse, FoundMessage } from "../../api/types";
import { useText } from "../../i18n";
import { useSay } from "../../said";
import { setQuery, useQueryState } from "../../router";
import { Time } from "../../time";
import { Await, Badge, Button, Card, Empty, Facts, Foreign, Form } from "../../ui";
import { GroupField } from "../parts/names";
import { ADVICE, TONES, Advice } from "./Advice";
import { Verify } from "./Verify";

/** Why the message is not delivered to a consumer group, and what to do about it. */
export function Why(props: { id: string; message: FoundMessage }): VNode {
  const t = useText().message;
  const { id, message } = props;
  const [group] = useQueryState("group");
  const readers = useLoad(async (signal) => (await observe.lags({ topic: message.topic }, signal)).lags.map((lag) => lag.group), [message.topic]);
  return (
    <Card title={t.why} lead={t.whyLead}>
      <GroupForm group={group} readers={readers.data ?? []} />
      {group ? <Answer id={id} message={message} group={group} /> : <Empty title={t.whyNoGroup} hint={t.whyNoGroupHint} />}
      {group && <Verify id={id} message={message} group={group} />}
    </Card>
  );
}

const OFFERED = 8;

function GroupForm(props: { group: string; readers: readonly string[] }): VNode {
  const t = useText();
  const [typed, setTyped] = useState(props.group);
  const [tried, setTried] = useState(false);
  useEffect(() => setTyped(props.group), [props.group]);
  const choose = (group: string) => setQuery({ group }, { push: true });
  const submit = async () => {
    setTried(true);
    if (!typed.trim()) return false;
    choose(typed.trim());
    return true;
  };
  const readers = useMemo(() => props.readers.slice(0, OFFERED), [props.readers]);
  return (
    <div class="ask-group">
      <Form onSubmit={submit} submit={t.message.ask}>
        <GroupField
          label={t.message.group}
          value={typed}
          onChange={setTyped}
          first={props.readers}
          error={tried && !typed.trim() ? t.ui.fillIn : ""}
        />
      </Form>
      {readers.length > 0 && (
        <div class="quick" role="group" aria-label={t.message.readers}>
          <span class="muted">{t.message.readers}</span>
          {readers.map((group) => <Button key={group} size="small" onClick={() => choose(group)}>{group}</Button>)}
        </div>
      )}
    </div>
  );
}

function Answer(props: { id: string; message: FoundMessage; group: string }): VNode {
  const { id, message, group } = props;
  // A dead letter is about where it came from.
  const topic = message.topic.startsWith("%DLQ%") ? message.sent_to : message.topic;
  const why = useLoad((signal) => messages.why(id, group, topic, signal), [id, group, topic]);
  return <Await of={why}>{(data) => <Reason answer={data} message={message} group={group} onAgain={why.reload} busy={why.loading} />}</Await>;
}

function Reason(props: { answer: ExplainDeliveryResponse; message: FoundMessage; group: string; onAgain: () => void; busy: boolean }): VNode {
  const t = useText().message;
  const say = useSay();
  const { answer, message, group } = props;
  const known = answer.reason in ADVICE;
  return (
    <div class={`why ${TONES[answer.reason] ?? "neutral"}`} aria-live="polite">
      <h3>
        <Badge tone={TONES[answer.reason] ?? "neutral"}>{known ? t.reasons[answer.reason].title : answer.reason}</Badge>{" "}
        <code class="muted">{answer.reason}</code>
      </h3>
      <p class="prose"><Foreign text={say(answer.said, answer.sentence)} max={2_000} /></p>
      <ReasonFacts answer={answer} />
      {known && <Advice answer={answer} message={message} group={group} />}
      <p><Button size="small" onClick={props.onAgain} busy={props.busy}>{t.askAgain}</Button></p>
    </div>
  );
}

const TIMES: Record<string, "settledAt" | "leasedUntil" | "dueAt"> = {
  acknowledged: "settledAt",
  dead_lettered: "settledAt",
  leased: "leasedUntil",
  not_due: "dueAt",
};

function ReasonFacts(props: { answer: ExplainDeliveryResponse }): VNode | null {
  const t = useText().message;
  const { client, attempt, unix_ms, reason } = props.answer;
  const time = TIMES[reason] ?? "settledAt";
  const facts: [string, VNode | string][] = [];
  if (client) facts.push([t.heldBy, <Foreign text={client} />]);
  if (attempt) facts.push([t.attemptNumber, String(attempt)]);
  if (unix_ms) facts.push([t[time], <Time ms={unix_ms} />]);
  return facts.length > 0 ? <Facts facts={facts} /> : null;
}
