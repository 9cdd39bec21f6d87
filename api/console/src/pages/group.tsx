import type { VNode } from "preact";
import { groups as calls, observe } from "../api/calls";
import { useLoad, type Loaded } from "../api/load";
import type { DescribeGroupResponse, ListClientsResponse, ListLagsResponse } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import type { PageProps } from "../routes";
import { Await, Button, Confirm, Notice, Page, Tabs, toast } from "../ui";
import { Disagreement, GroupClients } from "./group/clients";
import { DeleteGroup } from "./group/delete";
import { GroupOverview } from "./group/overview";
import { GroupQueues } from "./group/queues";
import { ResetTab } from "./group/reset";

// It asks for all queues of all topics that the group reads: the tab that shows them asks more often.
const DESCRIBE_MS = 10_000;
const LAGS_MS = 3_000;
const CLIENTS_MS = 5_000;

export default function GroupPage(props: PageProps): VNode {
  const t = useText();
  const name = props.params["name"] ?? "";
  const [doing, act] = useQueryState("do");
  const loaded = useLoad((signal) => calls.describe(name, signal), [name], DESCRIBE_MS);
  const lags = useLoad((signal) => observe.lags({ group: name }, signal), [name], LAGS_MS);
  const clients = useLoad((signal) => observe.clients({ group: name }, signal), [name], CLIENTS_MS);
  const { data } = loaded;
  const resume = async () => {
    await calls.update(name, { paused: false });
    toast.done(t.group.resumedDone(name));
    loaded.reload();
  };
  const actions = data && (
    <>
      {data.group.paused ? (
        <Button kind="primary" need="operate" onClick={resume}>{t.group.resume}</Button>
      ) : (
        <Button need="operate" onClick={() => act("pause")}>{t.group.pause}</Button>
      )}
      <Button kind="danger" need="operate" onClick={() => act("delete")}>{t.group.remove}</Button>
    </>
  );
  return (
    <Page title={name} crumbs={[{ title: t.groups.title, to: "groups" }]} actions={actions}>
      {data?.group.paused && <Notice tone="warn" title={t.group.paused}><p>{t.group.pausedHint}</p></Notice>}
      <Await of={loaded}>{(described) => <Parts data={described} lags={lags} clients={clients} refresh={loaded.refresh} reload={() => { loaded.reload(); lags.reload(); }} />}</Await>
      {data && doing === "delete" && <DeleteGroup data={data} lag={lags.data?.total.messages ?? 0} onClose={() => act("")} />}
      {data && doing === "pause" && !data.group.paused && <Pause name={name} onClose={() => act("")} onDone={loaded.reload} />}
    </Page>
  );
}

function Parts(props: {
  data: DescribeGroupResponse;
  lags: Loaded<ListLagsResponse>;
  clients: Loaded<ListClientsResponse>;
  reload: () => void;
  refresh: () => void;
}): VNode {
  const t = useText().group;
  const { data, lags, clients, reload } = props;
  return (
    <Tabs
      label={t.tabs}
      tabs={[
        { id: "overview", title: t.overview, content: () => (
          <>
            <Disagreement group={data.group.name} clients={clients.data?.clients ?? []} />
            <GroupOverview group={data.group} lags={lags} reload={reload} />
          </>
        ) },
        { id: "queues", title: t.queues, count: number(data.queues.length), content: () => <GroupQueues queues={data.queues} refresh={props.refresh} /> },
        { id: "clients", title: t.clients, count: number(clients.data?.clients.length ?? data.clients.length), content: () => <GroupClients group={data.group} clients={clients} /> },
        { id: "reset", title: t.reset, content: () => <ResetTab key="reset" data={data} reload={reload} /> },
        { id: "skip", title: t.skip, content: () => <ResetTab key="skip" data={data} reload={reload} skip /> },
      ]}
    />
  );
}

function Pause(props: { name: string; onClose: () => void; onDone: () => void }): VNode {
  const t = useText().group;
  const pause = async () => {
    await calls.update(props.name, { paused: true });
    toast.done(t.pausedDone(props.name));
    props.onDone();
  };
  return (
    <Confirm title={t.pauseTitle(props.name)} action={t.pause} onConfirm={pause} onClose={props.onClose}>
      <p>{t.pauseText}</p>
    </Confirm>
  );
}
