import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { cluster } from "../../api/calls";
import { useText } from "../../i18n";
import { Button, CheckField, Dialog, NumberField, StepsDialog, untilDone } from "../../ui";
import { closeAction, type ActionProps } from "./actions";
import { nodeName } from "./status";

const GROUPS_MAX = 63;

export function AddGroups(props: ActionProps): VNode {
  const t = useText().cluster.addGroups;
  const { nodes } = props.status;
  const [count, setCount] = useState<number | null>(1);
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [tried, setTried] = useState(false);
  const [result, setResult] = useState("");
  const countWrong = count === null || !Number.isInteger(count) || count < 1 || count > GROUPS_MAX;
  const nodesWrong = ![0, 1, 3, 5].includes(chosen.size);
  const toggle = (id: number, on: boolean) => setChosen(new Set(on ? [...chosen, id] : [...chosen].filter((n) => n !== id)));
  return (
    <StepsDialog
      title={t.title}
      submit={t.submit}
      label={t.running}
      done={result}
      need="administer"
      onClose={closeAction}
      check={() => {
        setTried(true);
        return !countWrong && !nodesWrong;
      }}
      action={async () => {
        const { groups } = await cluster.addGroups({ count: count ?? 1, nodes: [...chosen].map(String) });
        setResult(t.done(groups));
      }}
    >
      <p>{t.what}</p>
      <NumberField label={t.count} value={count} onChange={setCount} min={1} max={GROUPS_MAX} error={tried && countWrong ? t.countWrong(GROUPS_MAX) : ""} required />
      <fieldset class="choices">
        <legend>{t.nodes}</legend>
        <p class="hint">{t.nodesHint}</p>
        {nodes.map((node) => (
          <CheckField key={node.id} label={node.name} value={chosen.has(node.id)} onChange={(on) => toggle(node.id, on)} />
        ))}
        {tried && nodesWrong && <p class="field-error" role="alert">{t.nodesWrong(chosen.size)}</p>}
      </fieldset>
    </StepsDialog>
  );
}

export function RemoveNode(props: ActionProps & { node: number }): VNode | null {
  const t = useText().cluster.removeNode;
  const { status, node } = props;
  // It vanishes from the status while it is removed.
  const [name] = useState(nodeName(status, node));
  const [known] = useState(status.nodes.some((n) => n.id === node));
  if (!known) return null;
  return (
    <StepsDialog
      title={t.title(name)}
      submit={t.submit}
      kind="danger"
      label={t.running}
      done={t.done(name)}
      name={name}
      need="administer"
      onClose={closeAction}
      action={(control) =>
        untilDone(control, () => cluster.removeNode(node), (answer) => ({
          done: answer.groups_done,
          of: answer.groups,
          what: t.groups(answer.groups_done, answer.groups),
        }))}
    >
      <p>{t.what(name, node)}</p>
      <p>{t.after}</p>
    </StepsDialog>
  );
}

export function FeatureLevel(props: ActionProps): VNode {
  const { ui, cluster: { featureLevel: t } } = useText();
  const { status } = props;
  const [now] = useState(status.feature_level);
  const [result, setResult] = useState("");
  const answered = status.nodes.filter((node) => node.reads_up_to > 0);
  const possible = answered.length ? Math.min(...answered.map((node) => node.reads_up_to)) : now;
  const reads = (
    <ul class="plain-list">
      {status.nodes.map((node) => (
        <li key={node.id}>{node.reads_up_to ? t.reads(node.name, node.version, node.reads_up_to) : t.silent(node.name)}</li>
      ))}
    </ul>
  );
  // Raising it is over once it is shown.
  if (possible <= now && !result) {
    return (
      <Dialog title={t.title} onClose={closeAction}>
        <p>{t.highest(now)}</p>
        {reads}
        <div class="form-actions"><Button kind="primary" onClick={closeAction}>{ui.close}</Button></div>
      </Dialog>
    );
  }
  return (
    <StepsDialog
      title={t.title}
      submit={t.submit}
      kind="danger"
      label={t.running}
      done={result}
      name={status.cluster}
      need="administer"
      onClose={closeAction}
      action={async () => {
        const { before, level } = await cluster.raiseFeatureLevel();
        setResult(before === level ? t.same(level) : t.done(before, level));
      }}
    >
      <p>{t.what(now, possible)}</p>
      {reads}
    </StepsDialog>
  );
}
