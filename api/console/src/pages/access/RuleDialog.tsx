import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../../api/calls";
import type { AccessAction, AccessRule } from "../../api/types";
import { useText } from "../../i18n";
import { AreaField, CheckField, Dialog, Form, Icon, SelectField, TextField, toast } from "../../ui";
import { ACTIONS, KINDS, readResource, readSources, resourceText, type Kind } from "./resource";

/** Adds a rule, or changes the actions and sources of one. */
export function RuleDialog(props: { user: string; rule: AccessRule | null; onClose: () => void; onDone: () => void }): VNode {
  const t = useText();
  const a = t.accessUser;
  const { user, rule } = props;
  const [resource, setResource] = useState(() => readResource(rule?.resource ?? "topic:"));
  const [actions, setActions] = useState<ReadonlySet<AccessAction>>(new Set(rule?.actions ?? []));
  const [sources, setSources] = useState((rule?.sources ?? []).join("\n"));
  const [effect, setEffect] = useState<"allow" | "deny">(rule?.deny ? "deny" : "allow");
  const [tried, setTried] = useState(false);
  const noName = tried && resource.kind !== "*" && !resource.name.trim();
  const noAction = tried && actions.size === 0;

  const submit = async () => {
    setTried(true);
    if ((resource.kind !== "*" && !resource.name.trim()) || actions.size === 0) return false;
    const next: AccessRule = {
      resource: rule?.resource ?? resourceText({ ...resource, name: resource.name.trim() }),
      actions: ACTIONS.filter((action) => actions.has(action)),
      sources: readSources(sources),
      deny: effect === "deny",
    };
    await access.setRule(user, { rule: next, ...(rule ? { must_exist: true } : { must_not_exist: true }) });
    toast.done(a.ruleSaved);
    props.onDone();
    props.onClose();
    return true;
  };
  return (
    <Dialog title={rule ? a.changeRule : a.addRule} onClose={props.onClose} wide>
      <Form onSubmit={submit} submit={rule ? t.ui.save : a.addRule} need="administer" onCancel={props.onClose}>
        {rule ? (
          <p><code>{rule.resource}</code> · {rule.deny ? a.deny : a.allow}<br /><span class="muted">{a.fixed}</span></p>
        ) : (
          <>
            <div class="field-row">
              <SelectField label={a.kind} value={resource.kind} onChange={(kind: Kind) => setResource({ ...resource, kind })} options={KINDS.map((kind) => ({ value: kind, label: a.kinds[kind] }))} />
              {resource.kind !== "*" && (
                <TextField label={a.resourceName} value={resource.name} onChange={(name) => setResource({ ...resource, name })} error={noName ? t.ui.fillIn : ""} hint={a.resourceNameHint} required mono />
              )}
            </div>
            <p class="muted">{a.resourceHints[resource.kind]} {a.written} <code>{resourceText(resource)}</code></p>
            <SelectField label={a.effect} value={effect} onChange={setEffect} options={[{ value: "allow", label: a.allow }, { value: "deny", label: a.deny }]} hint={a.effectHint} />
          </>
        )}
        <ActionChoice chosen={actions} onChange={setActions} error={noAction ? a.noAction : ""} />
        <AreaField label={a.sources} value={sources} onChange={setSources} rows={2} hint={a.sourcesHint} mono />
      </Form>
    </Dialog>
  );
}

function ActionChoice(props: { chosen: ReadonlySet<AccessAction>; onChange: (actions: ReadonlySet<AccessAction>) => void; error: string }): VNode {
  const a = useText().accessUser;
  const toggle = (action: AccessAction, on: boolean) => {
    const next = new Set(props.chosen);
    if (on) next.add(action);
    else next.delete(action);
    props.onChange(next);
  };
  return (
    <fieldset class="choice actions-choice">
      <legend>{a.actions}</legend>
      {ACTIONS.map((action) => (
        <CheckField key={action} label={action} value={props.chosen.has(action)} onChange={(on) => toggle(action, on)} hint={a.actionHints[action]} />
      ))}
      <div role="alert">{props.error && <p class="field-error"><Icon name="bad" />{props.error}</p>}</div>
    </fieldset>
  );
}
