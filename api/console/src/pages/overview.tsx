import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { cluster as clusterCalls, observe } from "../api/calls";
import { useCluster, useDoctor } from "../api/events";
import { useLatest } from "../api/load";
import type { Finding } from "../api/types";
import { byteRate, rate } from "../format";
import { useText } from "../i18n";
import { useSay } from "../said";
import { zone } from "../time";
import { useHistory, type Rates, type TrafficPoint } from "../traffic";
import { Await, Card, Chart, Empty, ErrorState, LevelBadge, Link, Loading, Page } from "../ui";
import { alertsOf, FindingLink, findingKeys, Prose, usePlaceOf } from "./findings";
import { DisksCard, LagCard } from "./overview-cards";
import { Leaders } from "./overview-leaders";
import { Figures } from "./overview-figures";

// More of them would push everything else out of sight.
const SHOWN = 6;

export default function OverviewPage(): VNode {
  const t = useText().overview;
  return (
    <Page title={t.title}>
      <Figures />
      <Alerts />
      <Traffic />
      <div class="side-by-side">
        <LagCard />
        <DisksCard />
      </div>
      <LeadersCard />
    </Page>
  );
}

function Alerts(): VNode {
  const t = useText().overview;
  const doctor = useLatest(useDoctor(), observe.doctor);
  return (
    <Card title={t.alerts} actions={<Link to="doctor">{t.allFindings}</Link>}>
      <Await of={doctor}>{(found) => <AlertList alerts={alertsOf(found.findings)} />}</Await>
    </Card>
  );
}

function AlertList(props: { alerts: Finding[] }): VNode {
  const t = useText().overview;
  const say = useSay();
  const placeOf = usePlaceOf();
  const keys = findingKeys(props.alerts);
  if (props.alerts.length === 0) return <Empty title={t.noAlerts} />;
  return (
    <ul class="alerts">
      {props.alerts.slice(0, SHOWN).map((finding) => (
        <li key={keys.get(finding)}>
          <LevelBadge level={finding.level} />
          <div>
            <strong>{placeOf(finding)}</strong> <Prose text={say(finding.found_said, finding.found)} />
            {finding.advice && <p class="muted"><Prose text={say(finding.advice_said, finding.advice)} /></p>}
            <FindingLink finding={finding} />
          </div>
        </li>
      ))}
      {props.alerts.length > SHOWN && (
        <li><Link to="doctor" query={{ show: "alerts" }}>{t.moreAlerts(props.alerts.length - SHOWN)}</Link></li>
      )}
    </ul>
  );
}

function Traffic(): VNode {
  const t = useText().overview;
  const { points, error, loading, reload } = useHistory();
  return (
    <Card title={t.traffic} lead={t.trafficLead(zone())}>
      {error ? <ErrorState error={error} retry={reload} /> : null}
      {loading ? <Loading /> : <Charts points={points} />}
    </Card>
  );
}

function Charts(props: { points: readonly TrafficPoint[] }): VNode {
  const t = useText().overview;
  const { points } = props;
  const { times, lines } = useMemo(() => {
    const line = (key: keyof Rates) => points.map((point) => point.rates?.[key] ?? null);
    return {
      times: points.map((point) => point.ms),
      lines: {
        messages: [{ label: t.seriesIn, values: line("messages_in_per_s") }, { label: t.seriesOut, values: line("messages_out_per_s") }],
        bytes: [{ label: t.seriesIn, values: line("bytes_in_per_s") }, { label: t.seriesOut, values: line("bytes_out_per_s") }],
        failed: [{ label: t.seriesFailed, values: line("failed_per_s") }],
      },
    };
  }, [points, t]);
  return (
    <div class="charts">
      <Chart name="messages" title={t.messagesChart} times={times} series={lines.messages} format={rate} />
      <Chart name="bytes" title={t.bytesChart} times={times} series={lines.bytes} format={byteRate} />
      <Chart name="failed" title={t.failedChart} times={times} series={lines.failed} format={rate} />
    </div>
  );
}

function LeadersCard(): VNode {
  const t = useText().overview;
  const status = useLatest(useCluster(), clusterCalls.status);
  return (
    <Card title={t.leaders} lead={t.leadersLead} actions={<Link to="cluster">{t.toCluster}</Link>}>
      <Await of={status}>{(cluster) => <Leaders cluster={cluster} />}</Await>
    </Card>
  );
}
