import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { topics as calls } from "../api/calls";
import { useLoad } from "../api/load";
import type { DescribeTopicResponse } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import type { PageProps } from "../routes";
import { Await, Button, Page, Tabs } from "../ui";
import { TopicClients } from "./topic/clients";
import { DeleteTopic } from "./topic/delete";
import { EMPTY } from "./topic/draft";
import { TopicOverview } from "./topic/overview";
import { isSystemTopic } from "./topic/parts";
import { TopicQueues } from "./topic/queues";
import { useQueueRates, type QueueRates } from "./topic/rates";
import { SendMessage } from "./topic/send";

const POLL_MS = 3_000;

export default function TopicPage(props: PageProps): VNode {
  const t = useText();
  const name = props.params["name"] ?? "";
  const [doing, act] = useQueryState("do");
  const loaded = useLoad((signal) => calls.describe(name, signal), [name], POLL_MS);
  const rates = useQueueRates(loaded.data);
  return (
    <Page
      title={name}
      crumbs={[{ title: t.topics.title, to: "topics" }]}
      lead={isSystemTopic(name) ? t.topic.system : undefined}
      actions={loaded.data && <Button kind="danger" need="operate" onClick={() => act("delete")}>{t.topic.remove}</Button>}
    >
      <Await of={loaded}>{(data) => <Parts data={data} rates={rates} reload={loaded.reload} refresh={loaded.refresh} />}</Await>
      {loaded.data && doing === "delete" && <DeleteTopic data={loaded.data} onClose={() => act("")} />}
    </Page>
  );
}

function Parts(props: { data: DescribeTopicResponse; rates: QueueRates; reload: () => void; refresh: () => void }): VNode {
  const t = useText().topic;
  // A message that is half typed outlives a look at another tab.
  const [draft, setDraft] = useState(EMPTY);
  const { data } = props;
  return (
    <Tabs
      label={t.tabs}
      tabs={[
        { id: "overview", title: t.overview, content: () => <TopicOverview {...props} /> },
        { id: "queues", title: t.queues, count: number(data.topic.queues), content: () => <TopicQueues {...props} /> },
        { id: "clients", title: t.clients, content: () => <TopicClients topic={data.topic.name} /> },
        { id: "send", title: t.send, content: () => <SendMessage topic={data.topic} draft={draft} setDraft={setDraft} /> },
      ]}
    />
  );
}
