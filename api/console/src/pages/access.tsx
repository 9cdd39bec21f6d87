import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../api/calls";
import { useLoad } from "../api/load";
import type { User } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { useCan, useSession } from "../session";
import { Time } from "../time";
import { Await, Badge, Button, Card, Empty, Foreign, Link, Page, Table, type Column } from "../ui";
import { CreateUser } from "./access/CreateUser";
import { SecretDialog, type Made } from "./access/Secret";

export default function AccessPage(): VNode {
  const t = useText().access;
  return (
    <Gate title={t.title}>
      <Users />
    </Gate>
  );
}

/** Only where access is controlled, and for administrators. Else it says why. */
export function Gate(props: { title: string; children: ComponentChildren }): VNode {
  const t = useText();
  const session = useSession();
  const administers = useCan("administer");
  if (session?.access_control && administers) return <>{props.children}</>;
  return (
    <Page title={props.title} lead={t.access.lead}>
      {session?.access_control ? <Card title={t.access.users}><Empty title={t.common.needs.administer} /></Card> : <Off />}
    </Page>
  );
}

function Off(): VNode {
  const t = useText().access;
  return (
    <Card title={t.off}>
      <p>{t.offText}</p>
      <p>{t.offHow}</p>
      <pre class="body" tabIndex={0} aria-label={t.offExample}>{EXAMPLE}</pre>
      <p class="muted">{t.offAfter}</p>
    </Card>
  );
}

// As docs/access.md has it.
const EXAMPLE = `[access]
enabled = true
seal_key = "/etc/ledgermq/seal-key"
admin_secret = "/etc/ledgermq/admin-secret"

# ledgermq acl new-key --out /etc/ledgermq/seal-key`;

function Users(): VNode {
  const t = useText().access;
  const loaded = useLoad(async (signal) => (await access.users({}, signal)).users, []);
  const [creating, create] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  return (
    <Page title={t.title} lead={t.lead} actions={<Button kind="primary" need="administer" onClick={() => create(true)}>{t.create}</Button>}>
      <Card title={t.users}>
        <Await of={loaded}>{(users) => <UserTable users={users} />}</Await>
      </Card>
      {creating && <CreateUser onClose={() => create(false)} onMade={(user) => { setMade(user); loaded.reload(); }} />}
      {made && <SecretDialog made={made} onClose={() => setMade(null)} />}
    </Page>
  );
}

function UserTable(props: { users: User[] }): VNode {
  const t = useText().access;
  const me = useSession()?.user;
  const columns: Column<User>[] = [
    {
      key: "name",
      title: t.name,
      cell: (u) => <span><Link to="access/:user" params={{ user: u.name }}><Foreign text={u.name} /></Link>{u.name === me && <span class="muted"> {t.you}</span>}</span>,
      value: (u) => u.name,
    },
    { key: "admin", title: t.admin, cell: (u) => (u.admin ? <Badge tone="info">{t.isAdmin}</Badge> : <span class="muted">–</span>), value: (u) => u.admin, text: (u) => (u.admin ? t.isAdmin : "") },
    { key: "enabled", title: t.enabled, cell: (u) => <EnabledBadge user={u} />, value: (u) => u.enabled, text: (u) => (u.enabled ? t.isEnabled : t.isDisabled) },
    { key: "rules", title: t.rules, cell: (u) => number(u.rules.length), value: (u) => u.rules.length, text: () => "", end: true },
    { key: "created", title: t.created, cell: (u) => <Time ms={u.created_unix_ms} />, value: (u) => u.created_unix_ms, text: () => "" },
  ];
  return <Table caption={t.users} rows={props.users} columns={columns} rowKey={(u) => u.name} sort="name" filter cards empty={<Empty title={t.none} />} />;
}

export function EnabledBadge(props: { user: User }): VNode {
  const t = useText().access;
  return props.user.enabled ? <Badge tone="ok">{t.isEnabled}</Badge> : <Badge tone="warn">{t.isDisabled}</Badge>;
}
