import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { cluster } from "../../api/calls";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { useText } from "../../i18n";
import { SelectField, StepsDialog, untilDone } from "../../ui";
import { AddGroups, FeatureLevel, RemoveNode } from "./dialogs-cluster";
import { closeAction, useAction, type ActionProps } from "./actions";
import { Rebalance } from "./rebalance";
import { membersOf, nodeName } from "./status";

/** The dialog that the address asks for, if any. `group`: the one that the page is about. */
export function ActionDialog(props: { status: ClusterStatusResponse; group?: string }): VNode | null {
  const { what, group: asked, node } = useAction();
  const { status } = props;
  const group = status.groups.find((g) => g.name === (props.group ?? asked));
  if (what === "rebalance") return <Rebalance status={status} />;
  if (what === "add-groups") return <AddGroups status={status} />;
  if (what === "feature-level") return <FeatureLevel status={status} />;
  if (what === "remove-node") return <RemoveNode status={status} node={node} />;
  if (what === "transfer" && group) return <Transfer status={status} group={group} />;
  if (what === "vote" && group) return <Vote status={status} group={group} node={node} />;
  if (what === "move" && group) return <Move status={status} group={group} node={node} />;
  return null;
}

type GroupActionProps = ActionProps & { group: BrokerGroup };

function Transfer(props: GroupActionProps): VNode {
  const t = useText().cluster.transfer;
  const { status, group } = props;
  const [to, setTo] = useState("");
  const [result, setResult] = useState("");
  const others = membersOf(status, group).filter((m) => m.votes && m.id !== group.leader && m.node?.alive);
  const options = [{ value: "", label: t.best }, ...others.map((m) => ({ value: String(m.id), label: m.name }))];
  return (
    <StepsDialog
      title={t.title(group.name)}
      submit={t.submit}
      label={t.running}
      done={result}
      need="operate"
      onClose={closeAction}
      action={async () => {
        const { leader, took_ms } = await cluster.transfer(group.name, { to });
        setResult(t.done(nodeName(status, leader), took_ms));
      }}
    >
      <p>{t.what(group.name, group.leader ? nodeName(status, group.leader) : "")}</p>
      <SelectField label={t.to} value={to} onChange={setTo} options={options} />
    </StepsDialog>
  );
}

function Vote(props: GroupActionProps & { node: number }): VNode {
  const t = useText().cluster.vote;
  const { status, group, node } = props;
  // What it is once it is done has to be remembered from when it was asked for.
  const [votes] = useState(!group.voters.includes(node));
  const name = nodeName(status, node);
  return (
    <StepsDialog
      title={votes ? t.giveTitle(group.name, name) : t.takeTitle(group.name, name)}
      submit={votes ? t.give : t.take}
      kind={votes ? "primary" : "danger"}
      label={votes ? t.giving : t.taking}
      done={votes ? t.given(name) : t.taken(name)}
      need="administer"
      onClose={closeAction}
      action={async (control) => {
        const gap = new Gap();
        await untilDone(control, () => cluster.voters(group.name, { node: String(node), votes }), (answer) => {
          const { done, of } = gap.closing(answer.behind);
          return { done, of, what: answer.behind ? t.behind(answer.behind) : "" };
        });
      }}
    >
      {votes ? <p>{t.giveWhat(group.voters.length)}</p> : <p>{t.takeWhat(name, group.voters.length)}</p>}
    </StepsDialog>
  );
}

function Move(props: GroupActionProps & { node: number }): VNode {
  const t = useText().cluster.move;
  const { status, group } = props;
  const [from, setFrom] = useState(props.node ? String(props.node) : "");
  const [to, setTo] = useState("");
  const [tried, setTried] = useState(false);
  const [placed] = useState(group.placed);
  const option = (id: number) => ({ value: String(id), label: nodeName(status, id) });
  const pick = { value: "", label: t.pick };
  const targets = status.nodes.filter((n) => n.alive && !placed.includes(n.id)).map((n) => n.id);
  return (
    <StepsDialog
      title={t.title(group.name)}
      submit={t.submit}
      label={t.running}
      done={t.done(nodeName(status, Number(to)), group.name)}
      need="administer"
      onClose={closeAction}
      check={() => {
        setTried(true);
        return from !== "" && to !== "";
      }}
      action={async (control) => {
        const gap = new Gap();
        await untilDone(control, () => cluster.move(group.name, { from, to }), (answer) => {
          const known = answer.behind !== null && answer.behind !== undefined;
          return { ...(known ? gap.closing(answer.behind ?? 0) : { done: 0 }), what: known ? t.behind(answer.behind ?? 0) : t.opening };
        });
      }}
    >
      {placed.length === 0 ? <p>{t.notPlaced(group.name)}</p> : <p>{t.what}</p>}
      <div class="field-row">
        <SelectField label={t.from} value={from} onChange={setFrom} options={[pick, ...placed.map(option)]} error={tried && !from ? t.choose : ""} />
        <SelectField label={t.to} value={to} onChange={setTo} options={[pick, ...targets.map(option)]} error={tried && !to ? t.choose : ""} />
      </div>
      {placed.length > 0 && targets.length === 0 && <p class="hint">{t.noTarget}</p>}
    </StepsDialog>
  );
}

/** Makes a progress of how much is left: the most that was left is all there is to do. */
class Gap {
  private most = 0;

  closing(left: number): { done: number; of?: number } {
    this.most = Math.max(this.most, left);
    return this.most === 0 ? { done: 0 } : { done: this.most - left, of: this.most };
  }
}
