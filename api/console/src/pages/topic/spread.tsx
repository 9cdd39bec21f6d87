import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { topics as calls } from "../../api/calls";
import type { DescribeTopicResponse, Topic } from "../../api/types";
import { useText } from "../../i18n";
import { Time } from "../../time";
import { Button, Card, DurationField, Form, Link, Notice, Progress, toast } from "../../ui";
import { hasMessageGroups } from "./parts";

const FAST_MS = 700;

/** How message groups are spread over the queues; only where there are message groups, or something to tell. */
export function SpreadCard(props: { data: DescribeTopicResponse; reload: () => void; refresh: () => void }): VNode | null {
  const t = useText().topic.spread;
  const { topic, behind_spread } = props.data;
  const spreading = Boolean(topic.spreading);
  useEffect(() => {
    if (!spreading) return undefined;
    const timer = window.setInterval(() => !document.hidden && props.refresh(), FAST_MS);
    return () => window.clearInterval(timer);
  }, [spreading]);
  if (!hasMessageGroups(topic.type) && !spreading && !topic.spread_given_up && behind_spread.length === 0) return null;
  const some = topic.ordered_queues < topic.queues;
  return (
    <Card title={t.title} lead={t.lead}>
      <p>
        {some ? t.now(topic.ordered_queues, topic.queues) : t.all(topic.queues)}{" "}
        {topic.spread_steps > 0 && t.steps(topic.spread_steps)}
      </p>
      {topic.spread_given_up && !spreading && some && <Notice tone="warn" title={t.givenUp}><p>{topic.spread_given_up}</p></Notice>}
      {topic.spreading ? <Going topic={topic} reload={props.reload} /> : some && <Begin topic={topic} reload={props.reload} />}
      {behind_spread.length > 0 && (
        <Notice tone="warn" title={t.behind}>
          <p>{t.behindLead}</p>
          <ul>
            {behind_spread.map(({ group, messages }) => (
              <li key={group}>
                <Link to="groups/:name" params={{ name: group }}>{group}</Link>: {t.behindGroup(messages)}
              </li>
            ))}
          </ul>
        </Notice>
      )}
    </Card>
  );
}

function Going(props: { topic: Topic; reload: () => void }): VNode | null {
  const t = useText().topic.spread;
  const { spreading } = props.topic;
  if (!spreading) return null;
  const giveUp = async () => {
    await calls.spread(props.topic.name, { give_up: true });
    toast.done(t.gaveUp);
    props.reload();
  };
  return (
    <>
      <Progress label={t.going(spreading.from, spreading.to)} done={0} />
      <p>{t.until}: <Time ms={spreading.until_unix_ms} /></p>
      <div class="actions"><Button need="operate" onClick={giveUp}>{t.giveUp}</Button></div>
    </>
  );
}

function Begin(props: { topic: Topic; reload: () => void }): VNode {
  const t = useText().topic.spread;
  const { topic } = props;
  const [within, setWithin] = useState<number | null>(10_000);
  const wrong = within !== null && !(within > 0 && Number.isSafeInteger(within));
  const submit = async () => {
    if (wrong) return false;
    await calls.spread(topic.name, { within_ms: within ?? 0 });
    toast.done(t.begun);
    props.reload();
    return true;
  };
  return (
    <div class="narrow">
      <Form submit={t.begin(topic.queues)} onSubmit={submit} need="operate">
        <DurationField label={t.within} value={within} onChange={setWithin} hint={t.withinHint} error={wrong ? t.withinWrong : ""} />
      </Form>
    </div>
  );
}
