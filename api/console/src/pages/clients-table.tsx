import type { VNode } from "preact";
import type { Client, Subscription } from "../api/types";
import { useText } from "../i18n";
import { useNodeName } from "../session";
import { Badge, Foreign, Link, Table, type Column } from "../ui";

/** Clients with what is known of them. What they say of themselves is theirs. */
export function ClientTable(props: {
  caption: string;
  clients: readonly Client[];
  empty: VNode;
  name: string;
  /** Of which topic the subscription is shown; empty: of all, with the topics' names. */
  topic?: string;
  /** Which consumer group each belongs to. */
  showGroup?: boolean;
}): VNode {
  const t = useText().topic;
  const nodeName = useNodeName();
  const nodes = (client: Client) => client.nodes.map(nodeName).join(", ");
  const columns: Column<Client>[] = [
    { key: "client", title: t.clientId, cell: (c) => <Foreign text={c.client_id} />, value: (c) => c.client_id },
    { key: "kind", title: t.kind, cell: (c) => <KindBadge kind={c.kind} />, value: (c) => c.kind },
    { key: "language", title: t.software, cell: (c) => <Foreign text={software(c) || "–"} />, value: software },
    { key: "address", title: t.address, cell: (c) => c.address || "–", value: (c) => c.address },
    { key: "nodes", title: t.nodes, cell: nodes, value: nodes },
  ];
  if (props.showGroup) {
    columns.splice(2, 0, {
      key: "group",
      title: t.group,
      cell: (c) => <Link to="groups/:name" params={{ name: c.group }}>{c.group}</Link>,
      value: (c) => c.group,
    });
  }
  if (props.clients.some((client) => client.kind !== "producer")) {
    columns.push({
      key: "subscription",
      title: t.subscription,
      cell: (c) => <Subscriptions client={c} topic={props.topic ?? ""} />,
      value: (c) => c.subscriptions.map((s) => `${s.topic} ${s.expression}`).join(" "),
    });
  }
  return (
    <Table
      caption={props.caption}
      name={props.name}
      rows={props.clients}
      columns={columns}
      rowKey={(c) => c.client_id}
      sort="client"
      filter={props.clients.length > 10}
      cards
      empty={props.empty}
    />
  );
}

/** "java 5.0.7": what a client was made with. */
function software(client: Client): string {
  return [client.language, client.version].filter(Boolean).join(" ");
}

/** What a client is. */
export function KindBadge(props: { kind: Client["kind"] }): VNode {
  const { kinds } = useText().topic;
  return <Badge tone="neutral">{kinds[props.kind as keyof typeof kinds] ?? props.kind}</Badge>;
}

function Subscriptions(props: { client: Client; topic: string }): VNode {
  const t = useText().topic;
  const { client, topic } = props;
  const found = client.subscriptions.filter((s) => !topic || s.topic === topic);
  if (found.length === 0) return <span class="muted">{t.notTold}</span>;
  return (
    <ul>
      {found.map((subscription) => (
        <li key={subscription.topic}>
          {!topic && <><Link to="topics/:name" params={{ name: subscription.topic }}>{subscription.topic}</Link>: </>}
          <FilterText subscription={subscription} />
        </li>
      ))}
    </ul>
  );
}

/** Which messages a subscription takes. */
export function FilterText(props: { subscription: Pick<Subscription, "type" | "expression"> }): VNode {
  const t = useText().topic;
  const { type, expression } = props.subscription;
  if (type === "tag" && (expression === "*" || expression === "")) return <span>{t.everything}</span>;
  return <span>{type === "sql" ? t.sql : t.tag} <code><Foreign text={expression} /></code></span>;
}
