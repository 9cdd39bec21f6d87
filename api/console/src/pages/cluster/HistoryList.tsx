import type { VNode } from "preact";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { duration } from "../../format";
import { text, useText } from "../../i18n";
import { absolute, clock } from "../../time";
import { useGroupHistory, type Entry } from "./history";
import { nodeName } from "./status";

/** What happened since the page was opened; what is new is announced. */
export function HistoryList(props: { status: ClusterStatusResponse; group: BrokerGroup }): VNode {
  useText();
  const entries = useGroupHistory(props.status, props.group);
  const name = (id: number) => nodeName(props.status, id);
  const newest = entries[0];
  // How it was when the page was opened is no news.
  const news = newest && newest.id > 1 ? entries.filter((entry) => entry.ms === newest.ms).reverse() : [];
  return (
    <>
      <p class="hidden" role="status" aria-live="polite">{news.map((entry) => sentence(entry, name)).join(". ")}</p>
      <ol class="history" reversed>
        {entries.map((entry) => (
          <li key={entry.id} class={isBad(entry) ? "bad" : ""}>
            <time dateTime={new Date(entry.ms).toISOString()} title={absolute(entry.ms, true)}>
              {clock(entry.ms, true)}.{Math.floor((entry.ms % 1_000) / 100)}
            </time>
            <span>{sentence(entry, name)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

function isBad({ happening }: Entry): boolean {
  return happening.what === "leaderless" || (happening.what === "majority" && !happening.has);
}

function sentence(entry: Entry, name: (id: number) => string): string {
  const t = text().clusterGroup.happened;
  const { happening: it } = entry;
  switch (it.what) {
    case "leads":
      if (!it.before) return t.leads(it.term, name(it.node));
      if (it.before.node === it.node && it.before.term === it.term) return t.leadsStill(it.term, name(it.node));
      return it.before.node === it.node ? t.leadsOn(it.term, name(it.node), it.before.term) : t.leadsNow(it.term, name(it.node), name(it.before.node), it.before.term);
    case "leaderless":
      return it.before ? t.leaderless(it.term, name(it.before.node), it.before.term) : t.nobody(it.term);
    case "election":
      return t.election(it.term);
    case "state":
      return it.before === "down" || it.before === "silent"
        ? t.back(name(it.node), text().cluster.roles[it.state])
        : t.became[it.state](name(it.node), it.term);
    case "voters":
      return t.voters(it.voters.map(name).join(", "));
    case "majority":
      return it.has ? t.found : t.lost;
    case "gap":
      return t.gap(duration(it.ms));
  }
}
