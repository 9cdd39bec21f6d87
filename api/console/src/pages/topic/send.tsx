import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { topics as calls } from "../../api/calls";
import type { Topic } from "../../api/types";
import { useText } from "../../i18n";
import { Time } from "../../time";
import { AreaField, Card, Copyable, DurationField, Empty, Form, Link, NumberField, SelectField, TextField, toast } from "../../ui";
import { draftErrors, fieldsOf, hasErrors, requestOf, type DraftErrors, type MessageDraft } from "./draft";
import { isSystemTopic } from "./parts";
import { PropertyFields } from "./PropertyFields";

const KEPT = 10;

interface Sent {
  id: string;
  ms: number;
}

/** Sends a message of a person's, to try something. What was typed stays, to be sent again. */
export function SendMessage(props: { topic: Topic; draft: MessageDraft; setDraft: (draft: MessageDraft) => void }): VNode {
  const t = useText();
  const s = t.topic.sending;
  const { topic, draft, setDraft } = props;
  const [tried, setTried] = useState(false);
  const [sent, setSent] = useState<readonly Sent[]>([]);
  if (isSystemTopic(topic.name)) return <Empty title={s.system} hint={s.systemHint} />;
  if (topic.type === "TOPIC_TYPE_TRANSACTION") return <Empty title={s.transaction} hint={s.transactionHint} />;

  const errors = draftErrors(draft, topic.type, t);
  const submit = async () => {
    setTried(true);
    if (hasErrors(errors)) return false;
    const { message_id } = await calls.send(topic.name, requestOf(draft, topic.type));
    setSent([{ id: message_id, ms: Date.now() }, ...sent].slice(0, KEPT));
    setTried(false);
    toast.done(s.sentNow);
    return true;
  };
  const change = (part: Partial<MessageDraft>) => setDraft({ ...draft, ...part });
  return (
    <>
      <Card title={t.topic.send} lead={s.lead}>
        <div class="narrow">
          <Form submit={s.send} onSubmit={submit} need="operate">
            <Fields topic={topic} draft={draft} change={change} errors={tried ? errors : null} />
          </Form>
        </div>
      </Card>
      {sent.length > 0 && (
        <Card title={s.sent}>
          <ul>
            {sent.map(({ id, ms }) => (
              <li key={id}>
                <Copyable value={id} /> <Link to="messages/:id" params={{ id }} query={{ topic: topic.name }}>{t.topic.look}</Link>{" "}
                <Time ms={ms} show="relative" />
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function Fields(props: {
  topic: Topic;
  draft: MessageDraft;
  change: (part: Partial<MessageDraft>) => void;
  errors: DraftErrors | null;
}): VNode {
  const s = useText().topic.sending;
  const { topic, draft, change, errors } = props;
  const has = fieldsOf(topic.type);
  const needed = !has.mixed;
  const kinds = (["text", "json", "base64", "hex"] as const).map((value) => ({ value, label: s.kinds[value] }));
  return (
    <>
      <SelectField label={s.bodyKind} value={draft.kind} onChange={(kind) => change({ kind })} options={kinds} />
      <AreaField label={s.body} required mono rows={5} value={draft.body} onChange={(body) => change({ body })} hint={s.bodyHint} error={errors?.body ?? ""} />
      <div class="field-row">
        {has.group && <TextField label={s.messageGroup} required={needed} value={draft.message_group} onChange={(message_group) => change({ message_group })} hint={s.messageGroupHint} error={errors?.message_group ?? ""} />}
        {has.delay && <DurationField label={s.delay} required={needed} value={draft.delay_ms} onChange={(delay_ms) => change({ delay_ms })} hint={s.delayHint} error={errors?.delay_ms ?? ""} />}
        {has.priority && <NumberField label={s.priority} required min={0} value={draft.priority} onChange={(priority) => change({ priority })} hint={s.priorityHint(topic.queues - 1)} error={errors?.priority ?? ""} />}
        {has.lite && <TextField label={s.lite} required value={draft.lite_topic} onChange={(lite_topic) => change({ lite_topic })} hint={s.liteHint} error={errors?.lite_topic ?? ""} />}
        <TextField label={s.tag} value={draft.tag} onChange={(tag) => change({ tag })} hint={s.tagHint} error={errors?.tag ?? ""} />
        <TextField label={s.keys} value={draft.keys} onChange={(keys) => change({ keys })} hint={s.keysHint} />
      </div>
      <PropertyFields properties={draft.properties} onChange={(properties) => change({ properties })} errors={errors?.properties ?? []} />
    </>
  );
}
