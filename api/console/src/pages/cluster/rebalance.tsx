import type { VNode } from "preact";
import { cluster } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { ClusterStatusResponse, PlanRebalanceResponse, RebalanceMove } from "../../api/types";
import { useText } from "../../i18n";
import { number } from "../../format";
import { useSay } from "../../said";
import { useCan } from "../../session";
import { Await, Button, Dialog, Empty, runSteps, StepsDialog, untilDone, type StepsControl } from "../../ui";
import { closeAction, type ActionProps } from "./actions";
import { nodeName } from "./status";

/** Shows which replicas and leaderships would move, and moves them one by one. */
export function Rebalance(props: ActionProps): VNode {
  const t = useText();
  // Replicas are moved by administrators, leaderships by operators too.
  const all = useCan("administer");
  const plan = useLoad((signal) => cluster.planRebalance(!all, signal), [all]);
  const { data } = plan;
  if (data && data.moves.length + data.replicas.length > 0) return <Moves plan={data} status={props.status} />;
  return (
    <Dialog title={t.cluster.rebalance.title} onClose={closeAction}>
      <Await of={plan}>
        {(made) => (
          <>
            <Empty title={all ? t.cluster.rebalance.nothing : t.cluster.rebalance.nothingToLead} />
            <Left plan={made} />
            <div class="form-actions"><Button kind="primary" onClick={closeAction}>{t.ui.close}</Button></div>
          </>
        )}
      </Await>
    </Dialog>
  );
}

interface Step {
  move: RebalanceMove;
  what: "replica" | "leader";
}

function Moves(props: { plan: PlanRebalanceResponse; status: ClusterStatusResponse }): VNode {
  const t = useText().cluster.rebalance;
  const { plan, status } = props;
  const steps: Step[] = [
    ...plan.replicas.map((move) => ({ move, what: "replica" as const })),
    ...plan.moves.map((move) => ({ move, what: "leader" as const })),
  ];
  const say = ({ move, what }: Step) => t[what](move.group, nodeName(status, move.from), nodeName(status, move.to));
  const counts = [plan.replicas.length, plan.moves.length] as const;
  return (
    <StepsDialog
      title={t.title}
      submit={t.submit(...counts)}
      label={t.running}
      done={t.done(...counts)}
      need="operate"
      onClose={closeAction}
      action={(control) => runSteps(control, steps, (step) => carryOut(control, step), say)}
    >
      {plan.replicas.length > 0 && <p>{t.whatReplicas}</p>}
      {plan.moves.length > 0 && <p>{t.what}</p>}
      <Nodes plan={plan} />
      <ol class="plan">{steps.map((step) => <li key={`${step.what} ${step.move.group} ${step.move.from} ${step.move.to}`}>{say(step)}</li>)}</ol>
      <Left plan={plan} />
    </StepsDialog>
  );
}

/** What each node holds and leads, now and then. */
function Nodes(props: { plan: PlanRebalanceResponse }): VNode {
  const t = useText().cluster.rebalance;
  const { nodes, replicas } = props.plan;
  const placed = replicas.length > 0;
  return (
    <div class="table-box">
      <table>
        <caption class="hidden">{t.nodes}</caption>
        <thead>
          <tr>
            <th scope="col">{t.node}</th>
            {placed && <><th scope="col" class="end">{t.holds}</th><th scope="col" class="end">{t.willHold}</th></>}
            <th scope="col" class="end">{t.before}</th>
            <th scope="col" class="end">{t.after}</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.node}>
              <th scope="row">{node.name}</th>
              {placed && <><td class="end">{number(node.placed_before ?? 0)}</td><td class="end">{number(node.placed_after ?? 0)}</td></>}
              <td class="end">{number(node.before)}</td>
              <td class="end">{number(node.after)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A step that is refused for a moment is asked for again: it asks for a state, not for a change. */
function carryOut(control: StepsControl, { move, what }: Step): Promise<unknown> {
  const [from, to] = [String(move.from), String(move.to)];
  return untilDone<{ done: boolean }>(control, async () => {
    if (what === "replica") return cluster.move(move.group, { from, to });
    await cluster.transfer(move.group, { to });
    return { done: true };
  });
}

function Left(props: { plan: PlanRebalanceResponse }): VNode | null {
  const t = useText().cluster.rebalance;
  const say = useSay();
  const { left } = props.plan;
  if (left.length === 0) return null;
  return (
    <div>
      <h3>{t.left}</h3>
      <ul class="plain-list">{left.map((one) => <li key={one.group}><strong>{one.group}</strong>: {say(one.said, one.why)}</li>)}</ul>
    </div>
  );
}
