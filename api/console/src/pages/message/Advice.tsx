import type { VNode } from "preact";
import type { ExplainDeliveryResponse, FoundMessage, WhyReason } from "../../api/types";
import { useText } from "../../i18n";
import type { Query } from "../../router";
import { Link, type Tone } from "../../ui";

interface Target {
  to: string;
  params?: Record<string, string>;
  query?: Query;
}

interface Case {
  answer: ExplainDeliveryResponse;
  message: FoundMessage;
  group: string;
}

/** Good news, news, or something to do. */
export const TONES: Record<WhyReason, Tone> = {
  not_found: "bad",
  not_due: "info",
  in_transaction: "info",
  transaction_given_up: "warn",
  acknowledged: "ok",
  dead_lettered: "bad",
  filtered: "warn",
  before_start: "warn",
  passed_over: "warn",
  expired: "warn",
  leased: "info",
  behind_predecessor: "warn",
  behind_spread: "warn",
  group_paused: "warn",
  in_flight_limit: "warn",
  consumer_offline: "bad",
  not_subscribed: "bad",
  ready: "ok",
};

const group = (c: Case, tab?: string): Target => ({ to: "groups/:name", params: { name: c.group }, query: { tab } });
const topic = (c: Case, tab?: string): Target => ({ to: "topics/:name", params: { name: c.message.topic }, query: { tab } });

/** Where something can be done about each reason. */
export const ADVICE: Record<WhyReason, (c: Case) => Target> = {
  not_found: (c) => ({ to: "messages", query: { topic: c.message.topic } }),
  not_due: (c) => ({ to: "timers", query: { topic: c.message.topic } }),
  in_transaction: () => ({ to: "transactions" }),
  transaction_given_up: () => ({ to: "transactions", query: { tab: "given-up" } }),
  acknowledged: (c) => group(c, "reset"),
  dead_lettered: (c) => ({ to: "dead-letters/:group", params: { group: c.group } }),
  filtered: (c) => group(c, "clients"),
  before_start: (c) => group(c, "reset"),
  passed_over: (c) => group(c, "reset"),
  expired: (c) => topic(c),
  leased: (c) => group(c, "clients"),
  behind_predecessor: predecessor,
  behind_spread: (c) => topic(c),
  group_paused: (c) => group(c),
  in_flight_limit: (c) => group(c),
  consumer_offline: (c) => group(c, "clients"),
  not_subscribed: (c) => group(c, "clients"),
  ready: (c) => group(c, "clients"),
};

function predecessor(c: Case): Target {
  const { behind_id, behind_offset } = c.answer;
  if (behind_id) return { to: "messages/:id", params: { id: behind_id }, query: { topic: c.message.topic, group: c.group } };
  return { to: "messages", query: { topic: c.message.topic, by: "offset", queue: c.message.queue, offset: behind_offset } };
}

/** What to do, and a way to where it is done. */
export function Advice(props: Case): VNode {
  const t = useText().message;
  const { reason } = props.answer;
  const { to, params, query } = ADVICE[reason](props);
  return (
    <p class="advice">
      {t.reasons[reason].advice}{" "}
      <Link to={to} params={params} query={query}>{t.reasons[reason].link}</Link>
    </p>
  );
}
