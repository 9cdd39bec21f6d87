import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { topics } from "../api/calls";
import { useLoad } from "../api/load";
import { number } from "../format";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import { Await, Button, Card, Empty, Link, Page, Progress, SelectField, Table, type Column } from "../ui";
import { PREFIX, useCounts } from "./dead-letters/counts";

interface Row {
  group: string;
  count: number | null | undefined;
}

export default function DeadLettersPage(): VNode {
  const t = useText().deadLetters;
  const loaded = useLoad(async (signal) => groupsOf((await topics.list({ all: true }, signal)).topics), []);
  return (
    <Page title={t.title} lead={t.lead} actions={<Button onClick={loaded.reload} busy={loaded.loading}>{t.reload}</Button>}>
      <Card title={t.groups}>
        <Await of={loaded}>{(groups) => <Groups groups={groups} />}</Await>
      </Card>
    </Page>
  );
}

function groupsOf(all: readonly { name: string }[]): string[] {
  return all.flatMap(({ name }) => (name.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : []));
}

function Groups(props: { groups: string[] }): VNode {
  const t = useText().deadLetters;
  const { groups } = props;
  const counts = useCounts(groups);
  const [show, setShow] = useQueryState("show", "some");
  const rows = useMemo(() => {
    const all = groups.map((group): Row => ({ group, count: counts.get(group) }));
    return show === "all" ? all : all.filter(({ count }) => count === null || (count ?? 0) > 0);
  }, [groups, counts, show]);
  const columns: Column<Row>[] = [
    { key: "group", title: t.group, cell: (r) => <Link to="dead-letters/:group" params={{ group: r.group }}>{r.group}</Link>, value: (r) => r.group },
    { key: "count", title: t.count, cell: (r) => <Count of={r.count} />, value: (r) => r.count, text: () => "", end: true },
    { key: "consumer", title: t.consumer, cell: (r) => <Link to="groups/:name" params={{ name: r.group }}>{t.toGroup}</Link>, text: () => "" },
  ];
  const choice = (
    <SelectField
      label={t.show}
      bare
      value={show}
      onChange={setShow}
      options={[{ value: "some", label: t.onlySome }, { value: "all", label: t.all }]}
    />
  );
  const counting = counts.size < groups.length;
  return (
    <>
      {counting && <Progress label={t.counting} done={counts.size} of={groups.length} />}
      <Table
        caption={t.groups}
        rows={rows}
        columns={columns}
        rowKey={(r) => r.group}
        sort="-count"
        filter
        cards
        tools={choice}
        empty={counting && show !== "all" ? <></> : (
          <>
            <div class="table-tools">{choice}</div>
            <Empty title={t.none} hint={t.noneHint} />
          </>
        )}
      />
      <p class="muted">{t.countHint}</p>
    </>
  );
}

function Count(props: { of: number | null | undefined }): VNode {
  const t = useText().deadLetters;
  if (props.of === undefined) return <span class="muted">…</span>;
  return props.of === null ? <span class="muted">{t.countFailed}</span> : <>{number(props.of)}</>;
}
