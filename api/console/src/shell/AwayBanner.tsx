import type { VNode } from "preact";
import { lastCluster, useLive } from "../api/events";
import type { Node } from "../api/types";
import { duration } from "../format";
import { useText } from "../i18n";
import { BASE, queryText, usePlace, type Place } from "../router";
import { useSession } from "../session";
import { useClock } from "../time";
import { useStore } from "../store";
import { Icon } from "../ui/Icon";

// A restart or a change of leader takes less.
const PATIENCE_MS = 3_000;

/** Says that the node is away, and leads to this page on the others. */
export function AwayBanner(): VNode | null {
  const t = useText().shell;
  const live = useLive();
  const session = useSession();
  const at = usePlace();
  const cluster = useStore(lastCluster);
  const since = live.state === "reconnecting" ? live.since : null;
  // Whole seconds, so that it renders once a second at most.
  const away = useClock((now) => (since === null ? 0 : Math.floor((now - since) / 1_000)));
  if (!session || away * 1_000 < PATIENCE_MS) return null;
  const others = (cluster?.nodes ?? []).filter((node) => node.alive && node.id !== session.node.id && addressOf(node, at) !== null);
  return (
    <div class="banner">
      <Icon name="warn" />
      <div>
        <p role="alert"><strong>{t.away(session.node.name)}</strong></p>
        <p>{t.awaySince(duration(away * 1_000))}</p>
        {others.length === 0 ? <p>{t.awayNoOthers}</p> : (
          <p>
            {t.awayOthers}
            {others.map((node) => <span key={node.id}> <a href={addressOf(node, at) ?? ""}>{node.name}</a></span>)}
          </p>
        )}
      </div>
    </div>
  );
}

/** The same page on another node; null if its address is none that leads from here to there. */
function addressOf(node: Node, at: Place): string | null {
  try {
    const url = new URL(`${window.location.protocol}//${node.http}`);
    if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = window.location.hostname;
    url.pathname = BASE + at.path;
    url.search = queryText(Object.fromEntries(at.query));
    return url.href;
  } catch {
    return null;
  }
}
