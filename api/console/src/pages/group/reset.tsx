import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { groups as calls } from "../../api/calls";
import type { DescribeGroupResponse, ResetOffsetRequest } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Button, Card, Confirm, Notice, Table, toast, type Column } from "../../ui";
import { movesOf, type Move, type Moves } from "./moves";
import { ResetForm } from "./ResetForm";

interface Preview {
  request: ResetOffsetRequest;
  moves: Moves;
}

/** Moves a consumer group in a topic: first what would happen, then, once it is confirmed, it does. */
export function ResetTab(props: { data: DescribeGroupResponse; reload: () => void; skip?: boolean }): VNode {
  const t = useText().group;
  const { group, queues } = props.data;
  const skip = props.skip === true;
  const [preview, setPreview] = useState<Preview | null>(null);
  const [confirming, confirm] = useState(false);
  const topics = [...new Set(queues.map((queue) => queue.topic))];

  const look = async (request: ResetOffsetRequest) => {
    const [now, then] = await Promise.all([
      calls.offsets(group.name, request.topic),
      calls.reset(group.name, { ...request, preview: true }),
    ]);
    setPreview({ request, moves: movesOf(now.queues, then.queues, request.queue ?? null) });
  };
  const move = async () => {
    if (!preview) return;
    await calls.reset(group.name, preview.request);
    toast.done(t.to.done(preview.request.topic));
    setPreview(null);
    props.reload();
  };
  return (
    <>
      <Card title={skip ? t.skip : t.reset} lead={skip ? t.to.skipLead : t.to.lead}>
        <ResetForm topics={topics} skip={skip} onPreview={look} onChange={() => setPreview(null)} />
      </Card>
      {preview && (
        <Card title={t.to.previewTitle} lead={t.to.previewLead}>
          <Shown moves={preview.moves} />
          <div class="actions">
            <Button kind="danger" need="operate" onClick={() => confirm(true)} unusable={preview.moves.again + preview.moves.skipped === 0 ? t.to.sumNone : ""}>
              {skip ? t.to.doSkip : t.to.do}
            </Button>
          </div>
        </Card>
      )}
      {confirming && preview && (
        <Confirm
          title={t.to.confirmTitle(group.name, preview.request.topic)}
          name={group.name}
          action={skip ? t.to.doSkip : t.to.do}
          onConfirm={move}
          onClose={() => confirm(false)}
        >
          <Summary moves={preview.moves} />
        </Confirm>
      )}
    </>
  );
}

/** What would happen in all. */
function Summary(props: { moves: Moves }): VNode {
  const t = useText().group.to;
  const { again, skipped, in_flight } = props.moves;
  return (
    <>
      {again + skipped === 0 && <p>{t.sumNone}</p>}
      {again > 0 && <p><strong>{t.sumAgain(again)}</strong></p>}
      {skipped > 0 && <p><strong>{t.sumSkipped(skipped)}</strong></p>}
      {in_flight > 0 && <p>{t.inFlight(in_flight)}</p>}
    </>
  );
}

function Shown(props: { moves: Moves }): VNode {
  const t = useText().group;
  const [shown, show] = useState(false);
  // It appears below the form: whoever cannot see it hears of it.
  useEffect(() => show(true), []);
  const columns: Column<Move>[] = [
    { key: "queue", title: t.queue, cell: (m) => String(m.queue), value: (m) => m.queue },
    { key: "from", title: t.to.from, cell: (m) => <span>{number(m.from)}{!m.begun && <span class="muted"> ({t.to.notBegun})</span>}</span>, value: (m) => m.from, end: true },
    { key: "to", title: t.to.toOffset, cell: (m) => number(m.to), value: (m) => m.to, end: true },
    {
      key: "effect",
      title: t.to.effect,
      cell: (m) => (m.again > 0 ? t.to.again(m.again) : m.skipped > 0 ? t.to.skipped(m.skipped) : <span class="muted">{t.to.same}</span>),
      value: (m) => m.skipped - m.again,
      end: true,
    },
  ];
  return (
    <>
      <div role="status">{shown && <Notice tone="warn" title={t.to.inAll}><Summary moves={props.moves} /></Notice>}</div>
      <Table caption={t.to.previewTitle} name="moves" rows={props.moves.moves} columns={columns} rowKey={(m) => String(m.queue)} cards />
    </>
  );
}
