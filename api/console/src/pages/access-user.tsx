import type { VNode } from "preact";
import { access } from "../api/calls";
import { ApiError } from "../api/client";
import { useLoad } from "../api/load";
import type { User } from "../api/types";
import { useText } from "../i18n";
import { useSession } from "../session";
import type { PageProps } from "../routes";
import { Time } from "../time";
import { Await, Badge, Card, Empty, Facts, Link, Page, visible } from "../ui";
import { EnabledBadge, Gate } from "./access";
import { Rules } from "./access/Rules";
import { TestAccess } from "./access/TestAccess";
import { UserActions } from "./access/UserActions";

export default function AccessUserPage(props: PageProps): VNode {
  const t = useText().accessUser;
  const name = props.params["user"] ?? "";
  const title = `${t.title} ${visible(name)}`;
  return <Gate title={title}><OneUser key={name} name={name} title={title} /></Gate>;
}

function OneUser(props: { name: string; title: string }): VNode {
  const t = useText();
  const { name, title } = props;
  const loaded = useLoad(async (signal) => (await access.users({ name }, signal)).users[0] ?? null, [name]);
  const crumbs = [{ title: t.access.title, to: "access" }];
  if (loaded.error instanceof ApiError && loaded.error.status === 404) {
    return (
      <Page title={title} crumbs={crumbs}>
        <Card title={t.accessUser.notFound}><Empty title={t.accessUser.notFoundText(visible(name))} action={<Link to="access">{t.accessUser.toUsers}</Link>} /></Card>
      </Page>
    );
  }
  return (
    <Page title={title} crumbs={crumbs} actions={loaded.data && <UserActions user={loaded.data} onChanged={loaded.reload} />}>
      <Await of={loaded}>
        {(user) => user && (
          <>
            <UserFacts user={user} />
            <Rules user={user} onChanged={loaded.reload} />
            <TestAccess user={user} />
          </>
        )}
      </Await>
    </Page>
  );
}

function UserFacts(props: { user: User }): VNode {
  const t = useText().access;
  const { user } = props;
  const me = useSession()?.user;
  return (
    <Card title={t.user}>
      <Facts
        facts={[
          [t.name, <><code>{visible(user.name)}</code>{user.name === me && <span class="muted"> {t.you}</span>}</>],
          [t.enabled, <EnabledBadge user={user} />],
          [t.admin, user.admin ? <Badge tone="info">{t.isAdmin}</Badge> : <span class="muted">–</span>],
          [t.created, <Time ms={user.created_unix_ms} />],
        ]}
      />
    </Card>
  );
}
