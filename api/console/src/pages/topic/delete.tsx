import type { VNode } from "preact";
import { observe, topics as calls } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { DescribeTopicResponse } from "../../api/types";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { Confirm, toast } from "../../ui";
import { isCounted, messagesIn } from "./parts";

const SHOWN = 10;

/** Deletes a topic, once its name is typed. Says what goes with it. */
export function DeleteTopic(props: { data: DescribeTopicResponse; onClose: () => void }): VNode {
  const t = useText();
  const d = t.topic.deleting;
  const { name, type } = props.data.topic;
  const messages = messagesIn(props.data.queues);
  const remove = async () => {
    await calls.remove(name);
    toast.done(d.done(name));
    navigate(href("topics"));
  };
  // Once it is deleted the page is another one, and its query is no more this one's.
  const close = () => window.location.pathname === href("topics/:name", { name }) && props.onClose();
  return (
    <Confirm title={d.title(name)} name={name} action={t.topic.remove} onConfirm={remove} onClose={close}>
      <p>{!isCounted(type) ? d.lite : messages > 0 ? d.messages(messages) : d.none}</p>
      {(type === "TOPIC_TYPE_DELAY" || type === "TOPIC_TYPE_MIXED") && <p>{d.waiting}</p>}
      <Readers topic={name} />
    </Confirm>
  );
}

function Readers(props: { topic: string }): VNode {
  const t = useText();
  const d = t.topic.deleting;
  const lags = useLoad((signal) => observe.lags({ topic: props.topic }, signal), [props.topic]);
  if (!lags.data) return <p class="muted" role="status">{lags.error ? d.unknown : d.asking}</p>;
  const readers = lags.data.lags;
  if (readers.length === 0) return <p>{d.noReaders}</p>;
  return (
    <>
      <p>{d.readers(readers.length)}</p>
      <ul>
        {readers.slice(0, SHOWN).map((lag) => <li key={lag.group}>{lag.group} <span class="muted">({d.behind(lag.messages)})</span></li>)}
        {readers.length > SHOWN && <li class="muted">{t.topics.more(readers.length - SHOWN)}</li>}
      </ul>
    </>
  );
}
