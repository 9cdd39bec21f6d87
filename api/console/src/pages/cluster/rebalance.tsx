import type { VNode } from "preact";
import { cluster } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { ClusterStatusResponse, PlanRebalanceResponse, RebalanceMove } from "../../api/types";
import { useText } from "../../i18n";
import { number } from "../../format";
import { Await, Button, Dialog, Empty, runSteps, StepsDialog, untilDone, type StepsControl } from "../../ui";
import { closeAction, type ActionProps } from "./actions";
import { nodeName } from "./status";

/** Shows which leaderships would move, and moves them one by one. */
export function Rebalance(props: ActionProps): VNode {
  const t = useText();
  const plan = useLoad((signal) => cluster.planRebalance(signal), []);
  const { data } = plan;
  if (data && data.moves.length > 0) return <Moves plan={data} status={props.status} />;
  return (
    <Dialog title={t.cluster.rebalance.title} onClose={closeAction}>
      <Await of={plan}>
        {(made) => (
          <>
            <Empty title={t.cluster.rebalance.nothing} />
            <Left plan={made} />
            <div class="form-actions"><Button kind="primary" onClick={closeAction}>{t.ui.close}</Button></div>
          </>
        )}
      </Await>
    </Dialog>
  );
}

function Moves(props: { plan: PlanRebalanceResponse; status: ClusterStatusResponse }): VNode {
  const t = useText().cluster.rebalance;
  const { plan, status } = props;
  const say = (move: RebalanceMove) => t.move(move.group, nodeName(status, move.from), nodeName(status, move.to));
  return (
    <StepsDialog
      title={t.title}
      submit={t.submit(plan.moves.length)}
      label={t.running}
      done={t.done(plan.moves.length)}
      need="operate"
      onClose={closeAction}
      action={(control) => runSteps(control, plan.moves, (move) => carryOut(control, move), say)}
    >
      <p>{t.what}</p>
      <div class="table-box">
        <table>
          <caption class="hidden">{t.leads}</caption>
          <thead>
            <tr><th scope="col">{t.node}</th><th scope="col" class="end">{t.before}</th><th scope="col" class="end">{t.after}</th></tr>
          </thead>
          <tbody>
            {plan.nodes.map((node) => (
              <tr key={node.node}>
                <th scope="row">{node.name}</th>
                <td class="end">{number(node.before)}</td>
                <td class="end">{number(node.after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ol class="plan">{plan.moves.map((move) => <li key={move.group}>{say(move)}</li>)}</ol>
      <Left plan={plan} />
    </StepsDialog>
  );
}

/** A transfer that is refused for a moment is asked for again: it asks for a state, not for a change. */
async function carryOut(control: StepsControl, move: RebalanceMove): Promise<void> {
  await untilDone(control, async () => {
    await cluster.transfer(move.group, { to: String(move.to) });
    return { done: true };
  });
}

function Left(props: { plan: PlanRebalanceResponse }): VNode | null {
  const t = useText().cluster.rebalance;
  const { left } = props.plan;
  if (left.length === 0) return null;
  return (
    <div>
      <h3>{t.left}</h3>
      <ul class="plain-list">{left.map((one) => <li key={one.group}><strong>{one.group}</strong>: {one.why}</li>)}</ul>
    </div>
  );
}
