import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { DeadLetter } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { absolute, Time } from "../../time";
import { Badge, Body, Button, Dialog, Empty, Foreign, Link, Table, type Column, type Selection } from "../../ui";
import { Keys } from "../messages/Results";
import { previewOf } from "../parts/preview";
import { PreviewText } from "../parts/PreviewText";

export const placeKey = (letter: { queue: number; offset: number }): string => `${letter.queue}/${letter.offset}`;

/** One page of dead letters. */
export function Letters(props: {
  group: string;
  letters: DeadLetter[];
  selection: Selection;
  /** Those too that were sent again. */
  withState: boolean;
  further: boolean;
  onResend: (letter: DeadLetter) => void;
}): VNode {
  const t = useText().deadLettersGroup;
  const { group } = props;
  const [opened, open] = useState<DeadLetter | null>(null);
  const columns: Column<DeadLetter>[] = [
    { key: "buried", title: t.buried, cell: (l) => <Time ms={l.buried_unix_ms} show="absolute" />, value: (l) => l.buried_unix_ms, text: () => "" },
    { key: "id", title: t.idAndBody, cell: (l) => <Content letter={l} group={group} />, text: (l) => `${l.message_id} ${previewOf(l.body).text}` },
    ...(props.withState ? [{ key: "state", title: t.state, cell: (l: DeadLetter) => <State letter={l} />, value: (l: DeadLetter) => l.resent_unix_ms, text: () => "" }] : []),
    { key: "topic", title: t.topic, cell: (l) => <Origin letter={l} />, value: (l) => l.topic },
    { key: "attempts", title: t.attempts, cell: (l) => number(l.attempts), value: (l) => l.attempts, text: () => "", end: true },
    { key: "tag", title: t.tagKeys, cell: (l) => <Keys keys={l.tag ? [l.tag, ...l.keys] : l.keys} />, text: (l) => [l.tag, ...l.keys].join(" ") },
    {
      key: "actions",
      title: t.actions,
      cell: (l) => (
        <span class="row-tools">
          <Button size="small" label={t.showBodyOf(l.message_id)} onClick={() => open(l)}>{t.showBody}</Button>
          <Button size="small" need="operate" label={t.resendOne(l.message_id)} onClick={() => props.onResend(l)}>{t.resend}</Button>
        </span>
      ),
      text: () => "",
    },
  ];
  return (
    <>
      <Table
        caption={t.letters}
        rows={props.letters}
        columns={columns}
        rowKey={placeKey}
        selection={props.selection}
        cards
        pageSize={200}
        empty={props.further ? <Empty title={t.noneHere} hint={t.noneHereHint} /> : <Empty title={t.none} hint={t.noneHint} />}
      />
      {opened && (
        <Dialog title={t.body} wide onClose={() => open(null)}>
          <p class="mono">{opened.message_id}</p>
          <Body base64={opened.body} name={opened.message_id} />
        </Dialog>
      )}
    </>
  );
}

function Content(props: { letter: DeadLetter; group: string }): VNode {
  return <span class="stacked"><LetterLink {...props} /><PreviewText of={previewOf(props.letter.body)} /></span>;
}

function LetterLink(props: { letter: DeadLetter; group: string }): VNode {
  const { letter, group } = props;
  return (
    <Link to="messages/:id" params={{ id: letter.message_id }} query={{ topic: `%DLQ%${group}`, group }} class="mono">
      <Foreign text={letter.message_id} max={64} />
    </Link>
  );
}

function Origin(props: { letter: DeadLetter }): VNode {
  const t = useText().deadLettersGroup;
  const { topic, topic_queue, topic_offset } = props.letter;
  return (
    <span>
      <Link to="topics/:name" params={{ name: topic }}>{topic}</Link>{" "}
      <Link to="messages" query={{ topic, by: "offset", queue: topic_queue, offset: topic_offset }}>{t.place(topic_queue, topic_offset)}</Link>
    </span>
  );
}

function State(props: { letter: DeadLetter }): VNode {
  const t = useText().deadLettersGroup;
  const { resent_unix_ms: at, resent_offset } = props.letter;
  if (!at && (resent_offset === null || resent_offset === undefined)) return <Badge tone="warn">{t.dead}</Badge>;
  return <Badge tone="ok" title={absolute(at)}>{t.resent}</Badge>;
}
