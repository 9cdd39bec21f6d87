import type { VNode } from "preact";
import { messages } from "../api/calls";
import { useLoad } from "../api/load";
import type { FoundMessage, TraceMessageResponse, TracedMessage } from "../api/types";
import { useText } from "../i18n";
import { usePlace } from "../router";
import type { PageProps } from "../routes";
import { Await, Badge, Body, Card, Empty, Link, Page } from "../ui";
import { Actions } from "./message/Actions";
import { Copies } from "./message/Copies";
import { MessageFacts, Properties } from "./message/MessageFacts";
import { Story } from "./message/Story";
import { Why } from "./message/Why";

export default function MessagePage(props: PageProps): VNode {
  const t = useText().message;
  const id = props.params["id"] ?? "";
  const topic = usePlace().query.get("topic") ?? "";
  const traced = useLoad((signal) => messages.trace(id, topic, signal), [id, topic]);
  const shown = traced.data && choose(traced.data, topic);
  return (
    <Page
      title={t.title}
      lead={<code class="message-id">{id.slice(0, 200)}</code>}
      crumbs={[{ title: t.all, to: "messages" }]}
      actions={shown && <Actions message={shown.message} onChanged={traced.reload} />}
    >
      <Await of={traced}>
        {(data) => (shown ? <Details id={id} topic={topic} traced={data} shown={shown} /> : <NotFound id={id} topic={topic} cut={data.cut} />)}
      </Await>
    </Page>
  );
}

export interface Shown {
  traced: TracedMessage;
  message: FoundMessage;
}

/** The copy that the page is about: in the topic of the address, else the one that was sent. */
function choose(data: TraceMessageResponse, topic: string): Shown | null {
  const copies = data.messages.flatMap((traced) => (traced.message ? [{ traced, message: traced.message }] : []));
  return copies.find(({ message }) => message.topic === topic) ?? copies.find(({ message }) => message.topic === message.sent_to) ?? copies[0] ?? null;
}

function Details(props: { id: string; topic: string; traced: TraceMessageResponse; shown: Shown }): VNode {
  const t = useText().message;
  const { id, traced, shown } = props;
  const { message } = shown;
  return (
    <>
      {traced.cut && <p role="status"><Badge tone="warn">{t.cut}</Badge> {t.cutText}</p>}
      <Card title={t.facts}><MessageFacts shown={shown} /></Card>
      <Card title={t.body}><Body base64={message.body} gzip={message.gzip} name={id.slice(0, 64)} /></Card>
      <Properties properties={message.properties} />
      <Card title={t.story} lead={t.storyLead}>
        {traced.messages.map((one, i) => <Story key={i} traced={one} alone={traced.messages.length === 1} />)}
      </Card>
      <Why id={id} message={message} />
      {/* In one topic only what is in it was looked for. */}
      {props.topic !== "" && <Copies id={id} topic={props.topic} />}
    </>
  );
}

function NotFound(props: { id: string; topic: string; cut: boolean }): VNode {
  const t = useText().message;
  const { id, topic, cut } = props;
  return (
    <Card title={t.notFound}>
      <Empty
        title={cut ? t.notFoundCut : topic ? t.notFoundIn(topic) : t.notFoundText}
        hint={t.notFoundHint}
        action={
          topic
            ? <Link to="messages/:id" params={{ id }}>{t.everywhere}</Link>
            : <Link to="messages" query={{ by: "id", id }}>{t.toSearch}</Link>
        }
      />
    </Card>
  );
}
