import type { VNode } from "preact";
import { observe } from "../api/calls";
import { lastDoctor, useDoctor } from "../api/events";
import { useLatest } from "../api/load";
import type { DoctorResponse, Finding } from "../api/types";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import { useSay } from "../said";
import { Await, Badge, Button, Card, Empty, LevelBadge, Page, SelectField, Table, type Column } from "../ui";
import { alertsOf, countLevels, FindingLink, findingKeys, Prose, SEVERITY, usePlaceOf } from "./findings";

export default function DoctorPage(): VNode {
  const t = useText().doctor;
  const doctor = useLatest(useDoctor(), observe.doctor);
  // The event after next would say the same.
  const examine = async () => lastDoctor.set(await observe.doctor());
  return (
    <Page title={t.title} lead={t.lead} actions={<Button onClick={examine}>{t.now}</Button>}>
      <Await of={doctor}>{(found) => <Findings doctor={found} />}</Await>
    </Page>
  );
}

function Findings(props: { doctor: DoctorResponse }): VNode {
  const t = useText().doctor;
  const say = useSay();
  const placeOf = usePlaceOf();
  const { worst, findings } = props.doctor;
  const [show, setShow] = useQueryState("show", "all");
  const rows = show === "alerts" ? alertsOf(findings) : findings;
  const counts = countLevels(findings);
  const keys = findingKeys(findings);
  const found = (f: Finding) => say(f.found_said, f.found);
  const columns: Column<Finding>[] = [
    { key: "level", title: t.level, cell: (f) => <LevelBadge level={f.level} />, value: (f) => SEVERITY[f.level], text: (f) => f.level },
    { key: "check", title: t.check, cell: (f) => t.checks[f.check] ?? f.check, value: (f) => f.check },
    { key: "place", title: t.place, cell: placeOf, value: (f) => f.place },
    { key: "found", title: t.found, cell: (f) => <span class="prose"><Prose text={found(f)} /></span>, text: found },
    { key: "advice", title: t.advice, cell: (f) => <Advice finding={f} />, text: (f) => say(f.advice_said, f.advice) },
  ];
  return (
    <>
      <p class="verdict" role="status">
        <Badge tone={worst}>{t.worst[worst]}</Badge> <span class="muted">{t.summary(counts.bad, counts.warn, counts.ok)}</span>
      </p>
      <Card title={t.findings}>
        <Table
          caption={t.findings}
          rows={rows}
          columns={columns}
          rowKey={(f) => keys.get(f) ?? ""}
          sort="level"
          filter
          cards
          tools={<ShowField value={show} onChange={setShow} />}
          empty={
            show === "alerts" ? (
              <>
                <div class="table-tools"><ShowField value={show} onChange={setShow} /></div>
                <Empty title={t.emptyAlerts} action={<Button onClick={() => setShow("all")}>{t.showAll}</Button>} />
              </>
            ) : <Empty title={t.empty} />
          }
        />
      </Card>
    </>
  );
}

/** What to do, and where. */
function Advice(props: { finding: Finding }): VNode {
  const say = useSay();
  const { finding } = props;
  return (
    <span class="prose">
      {finding.advice ? <Prose text={say(finding.advice_said, finding.advice)} /> : "–"}
      {finding.level !== "ok" && <> <FindingLink finding={finding} /></>}
    </span>
  );
}

function ShowField(props: { value: string; onChange: (value: string) => void }): VNode {
  const t = useText().doctor;
  return (
    <SelectField
      label={t.show}
      bare
      value={props.value}
      onChange={props.onChange}
      options={[{ value: "all", label: t.all }, { value: "alerts", label: t.alertsOnly }]}
    />
  );
}
