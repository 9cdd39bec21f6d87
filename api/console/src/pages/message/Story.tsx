import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import type { DeliveryEvent, FoundMessage, TracedMessage } from "../../api/types";
import { useText } from "../../i18n";
import { useNodeName } from "../../session";
import { Time, useClock } from "../../time";
import { Button, Foreign, Icon, Link, type Tone } from "../../ui";

/** What became of one copy of a message: how it came to be stored, then in each consumer group. */
export function Story(props: { traced: TracedMessage; alone: boolean }): VNode | null {
  const t = useText().message;
  const { message: m, events } = props.traced;
  if (!m) return null;
  const groups = [...new Set(events.map((event) => event.group))];
  return (
    <section class="story" aria-label={t.storyIn(m.topic)}>
      {!props.alone && <h3>{t.storyIn(m.topic)}</h3>}
      <Beginning traced={props.traced} />
      {groups.map((group) => (
        <GroupStory key={group} group={group} level={props.alone ? "h3" : "h4"} events={events.filter((event) => event.group === group)} />
      ))}
      {groups.length === 0 && isVisible(m) && <p class="muted">{t.noDeliveries}</p>}
      {props.traced.events_since_unix_ms && props.traced.events_since_unix_ms > m.stored_unix_ms ? (
        <p class="muted">{t.knownSince} <Time ms={props.traced.events_since_unix_ms} show="absolute" />.</p>
      ) : null}
    </section>
  );
}

/** Consumer groups may get it; dead letters have none. */
function isVisible(m: FoundMessage): boolean {
  return !m.due_unix_ms && !m.in_transaction && !m.given_up && m.topic === m.sent_to;
}

function Beginning(props: { traced: TracedMessage }): VNode | null {
  const t = useText().message;
  const node = useNodeName();
  const { message: m, term, index, leader_node, committed_unix_ms } = props.traced;
  if (!m) return null;
  const waits = Boolean(m.due_unix_ms);
  const buried = m.topic !== m.sent_to;
  const stored = !waits && !m.in_transaction && (
    <Moment ms={m.stored_unix_ms} title={buried ? t.events.buried : t.events.stored} tone={buried ? "bad" : "neutral"}>
      {t.onQueue(m.store_host, m.queue, m.offset ?? null)}
    </Moment>
  );
  return (
    <ol class="timeline">
      <Moment ms={m.born_unix_ms} title={t.events.sent} tone="neutral">{t.from} <Foreign text={m.born_host} max={80} /></Moment>
      {!buried && stored}
      {index ? (
        <Moment ms={committed_unix_ms} title={t.events.committed} tone="ok">
          {t.committedBy(leader_node ? node(leader_node) : "?", term ?? 0, index, m.broker_group)}
        </Moment>
      ) : (
        <Moment title={t.events.committed} tone="neutral">{t.logGoneLong}</Moment>
      )}
      {/* The entry of the log is the one that it was sent with. */}
      {buried && stored}
      {waits && <Moment ms={m.due_unix_ms} title={t.events.due} tone="info">{t.dueText}</Moment>}
      {m.in_transaction && <Moment title={t.events.inTransaction} tone="info">{t.inTransactionText}</Moment>}
      {m.given_up && <Moment title={t.events.givenUp} tone="warn">{t.givenUpText}</Moment>}
    </ol>
  );
}

// A message may have been delivered thousands of times.
const SHOWN = 30;

function GroupStory(props: { group: string; level: "h3" | "h4"; events: DeliveryEvent[] }): VNode {
  const t = useText().message;
  const [all, showAll] = useState(false);
  const { events, group, level: Heading } = props;
  const attempts = events.reduce((most, event) => Math.max(most, event.attempt), 0);
  const hidden = all ? 0 : Math.max(0, events.length - SHOWN);
  return (
    <div class="story-group">
      <Heading>
        {t.inGroup} <Link to="groups/:name" params={{ name: group }}>{group}</Link>
        {attempts > 0 && <span class="muted"> · {t.attempts(attempts)}</span>}
      </Heading>
      {hidden > 0 && <p><Button size="small" onClick={() => showAll(true)}>{t.showEarlier(hidden)}</Button></p>}
      <ol class="timeline">
        {events.slice(hidden).map((event, i) => (
          <Event key={i} event={event} last={hidden + i === events.length - 1} />
        ))}
      </ol>
    </div>
  );
}

const TONES: Record<string, Tone> = {
  leased: "info",
  settled: "ok",
  dead_lettered: "bad",
  changed: "info",
  given_back: "warn",
  released: "warn",
};

function Event(props: { event: DeliveryEvent; last: boolean }): VNode {
  const t = useText().message;
  const { event, last } = props;
  const until = event.until_unix_ms ?? 0;
  const over = useClock((now) => until > 0 && until < now);
  const titles: Record<string, string> = t.events;
  return (
    <Moment ms={event.unix_ms} title={titles[event.what] ?? event.what} tone={TONES[event.what] ?? "neutral"}>
      {event.client && <>{t.client} <Foreign text={event.client} max={120} /> </>}
      {event.attempt > 0 && <span class="muted">· {t.attempt(event.attempt)} </span>}
      {until > 0 && <span>· {over && last ? t.ranOut : t.until} <Time ms={until} show={last ? "both" : "absolute"} /></span>}
    </Moment>
  );
}

const MARKS = { ok: "ok", warn: "warn", bad: "bad", info: "info", neutral: "none" } as const;

function Moment(props: { ms?: number | null; title: string; tone: Tone; children?: ComponentChildren }): VNode {
  return (
    <li class={`moment ${props.tone}`}>
      <Icon name={MARKS[props.tone]} />
      <span class="moment-time">{props.ms ? <Time ms={props.ms} show="absolute" millis /> : "–"}</span>
      <div><strong>{props.title}</strong> {props.children}</div>
    </li>
  );
}
