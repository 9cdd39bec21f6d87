import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../../api/calls";
import type { AccessRule, User } from "../../api/types";
import { useText } from "../../i18n";
import { Badge, Button, Card, Confirm, Empty, Foreign, Table, toast, type Column } from "../../ui";
import { RuleDialog } from "./RuleDialog";
import { Warning } from "./Secret";

const ruleKey = (rule: AccessRule): string => `${rule.resource} ${rule.deny ? "deny" : "allow"}`;

/** The rules of a user, with all that can be done to them. */
export function Rules(props: { user: User; onChanged: () => void }): VNode {
  const t = useText().accessUser;
  const { user, onChanged } = props;
  const [shown, show] = useState<{ what: "edit" | "remove"; rule: AccessRule } | { what: "add" } | null>(null);
  const close = () => show(null);
  const remove = (rule: AccessRule) => async () => {
    await access.deleteRules(user.name, { resource: rule.resource, deny: rule.deny });
    toast.done(t.ruleRemoved);
    onChanged();
  };
  return (
    <Card title={t.rules} lead={t.rulesLead} actions={<Button need="administer" onClick={() => show({ what: "add" })}>{t.addRule}</Button>}>
      {user.admin && <Warning text={t.rulesUnused} />}
      <RuleTable user={user} onEdit={(rule) => show({ what: "edit", rule })} onRemove={(rule) => show({ what: "remove", rule })} />
      {shown?.what === "add" && <RuleDialog user={user.name} rule={null} onClose={close} onDone={onChanged} />}
      {shown?.what === "edit" && <RuleDialog user={user.name} rule={shown.rule} onClose={close} onDone={onChanged} />}
      {shown?.what === "remove" && (
        <Confirm title={t.removeRule} action={t.removeRule} onConfirm={remove(shown.rule)} onClose={close}>
          <p>{t.removeRuleText(user.name)}</p>
          <p><RuleText rule={shown.rule} /></p>
        </Confirm>
      )}
    </Card>
  );
}

function RuleTable(props: { user: User; onEdit: (rule: AccessRule) => void; onRemove: (rule: AccessRule) => void }): VNode {
  const t = useText().accessUser;
  const columns: Column<AccessRule>[] = [
    { key: "resource", title: t.resource, cell: (r) => <code><Foreign text={r.resource} /></code>, value: (r) => r.resource },
    { key: "effect", title: t.effect, cell: (r) => <Effect rule={r} />, value: (r) => r.deny, text: (r) => (r.deny ? t.deny : t.allow) },
    { key: "actions", title: t.actions, cell: (r) => <span class="prose">{r.actions.join(", ")}</span>, text: (r) => r.actions.join(" ") },
    { key: "sources", title: t.sources, cell: (r) => (r.sources.length ? <code>{r.sources.join(", ")}</code> : <span class="muted">{t.everywhere}</span>), text: (r) => r.sources.join(" ") },
    {
      key: "tools",
      title: t.tools,
      cell: (r) => (
        <span class="row-tools">
          <Button size="small" need="administer" label={t.changeRuleFor(r.resource)} onClick={() => props.onEdit(r)}>{t.change}</Button>
          <Button size="small" need="administer" label={t.removeRuleFor(r.resource)} onClick={() => props.onRemove(r)}>{t.remove}</Button>
        </span>
      ),
      text: () => "",
    },
  ];
  return (
    <Table
      caption={t.rules}
      name="rules"
      rows={props.user.rules}
      columns={columns}
      rowKey={ruleKey}
      sort="resource"
      filter={props.user.rules.length > 10}
      cards
      empty={<Empty title={t.noRules} hint={props.user.admin ? "" : t.noRulesHint} />}
    />
  );
}

export function Effect(props: { rule: AccessRule }): VNode {
  const t = useText().accessUser;
  return props.rule.deny ? <Badge tone="bad">{t.deny}</Badge> : <Badge tone="ok">{t.allow}</Badge>;
}

/** A rule in one line. */
export function RuleText(props: { rule: AccessRule }): VNode {
  const t = useText().accessUser;
  const { rule } = props;
  return (
    <>
      <Effect rule={rule} /> <code>{rule.resource}</code>: {rule.actions.join(", ")}; {rule.sources.length ? rule.sources.join(", ") : t.everywhere}
    </>
  );
}
