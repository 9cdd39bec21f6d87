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
    setPreview({ request, moves: movesOf(now.queues, then.queues, request.queue ?? null, group.start_from === "START_FROM_FIRST") });
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
            <Button kind="danger" need="operate" onClick={() => confirm(true)} unusable={isNothing(preview.moves) ? t.to.sumNone : ""}>
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

function isNothing(moves: Moves): boolean {
  return moves.again + moves.skipped + moves.begins === 0;
}

/** What would happen in all. */
function Summary(props: { moves: Moves }): VNode {
  const t = useText().group.to;
  const { again, skipped, begins, in_flight } = props.moves;
  return (
    <>
      {isNothing(props.moves) && <p>{t.sumNone}</p>}
      {again > 0 && <p><strong>{t.sumAgain(again)}</strong></p>}
      {skipped > 0 && <p><strong>{t.sumSkipped(skipped)}</strong></p>}
      {begins > 0 && <p>{t.sumBegins(begins)}</p>}
      {in_flight > 0 && <p>{t.inFlight(in_flight)}</p>}
    </>
  );
}

function From(props: { move: Move }): VNode {
  const t = useText().group.to;
  const { from, begun } = props.move;
  if (begun) return <>{number(from ?? 0)}</>;
  return <span>{from !== null && `${number(from)} `}<span class="muted">{from === null ? t.notBegun : `(${t.notBegun})`}</span></span>;
}

function Shown(props: { moves: Moves }): VNode {
  const t = useText().group;
  const [shown, show] = useState(false);
  // It appears below the form: whoever cannot see it hears of it.
  useEffect(() => show(true), []);
  const columns: Column<Move>[] = [
    { key: "queue", title: t.queue, cell: (m) => String(m.queue), value: (m) => m.queue },
    { key: "from", title: t.to.from, cell: (m) => <From move={m} />, value: (m) => m.from ?? -1, end: true },
    { key: "to", title: t.to.toOffset, cell: (m) => number(m.to), value: (m) => m.to, end: true },
    {
      key: "effect",
      title: t.to.effect,
      cell: (m) => (m.again > 0 ? t.to.again(m.again) : m.skipped > 0 ? t.to.skipped(m.skipped) : <span class="muted">{m.begun ? t.to.same : t.to.begins}</span>),
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
