import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { access } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { AccessAction, User } from "../../api/types";
import { useText } from "../../i18n";
import { setQuery, usePlace } from "../../router";
import { Await, Badge, Card, Foreign, Form, SelectField, TextField } from "../../ui";
import { ACTIONS, readResource, resourceText, type Kind } from "./resource";
import { RuleText } from "./Rules";

const TESTED: readonly Exclude<Kind, "namespace" | "*">[] = ["topic", "group", "cluster"];

interface Question {
  action: AccessAction;
  resource: string;
  source: string;
}

function readQuestion(query: URLSearchParams): Question {
  return {
    action: ACTIONS.find((action) => action === query.get("action")) ?? "publish",
    resource: query.get("resource") ?? "",
    source: query.get("source") ?? "",
  };
}

/** May the user do that, and by which rule? The question is in the address. */
export function TestAccess(props: { user: User }): VNode {
  const t = useText().accessUser;
  const asked = readQuestion(usePlace().query);
  return (
    <Card title={t.test} lead={t.testLead}>
      <QuestionForm key={JSON.stringify(asked)} asked={asked} />
      {asked.resource && <Answer user={props.user} asked={asked} />}
    </Card>
  );
}

function QuestionForm(props: { asked: Question }): VNode {
  const t = useText();
  const a = t.accessUser;
  const [action, setAction] = useState(props.asked.action);
  const [resource, setResource] = useState(() => readResource(props.asked.resource || "topic:"));
  const [source, setSource] = useState(props.asked.source);
  const [tried, setTried] = useState(false);
  const name = resource.name.trim();
  const submit = async () => {
    setTried(true);
    if (!name) return false;
    setQuery({ action, resource: resourceText({ ...resource, name }), source: source.trim() }, { push: true });
    return true;
  };
  return (
    <Form onSubmit={submit} submit={a.testNow}>
      <div class="field-row">
        <SelectField label={a.action} value={action} onChange={setAction} options={ACTIONS.map((one) => ({ value: one, label: one }))} />
        <SelectField label={a.kind} value={resource.kind} onChange={(kind: Kind) => setResource({ ...resource, kind })} options={TESTED.map((kind) => ({ value: kind as Kind, label: a.kinds[kind] }))} />
        <TextField label={a.testName} value={resource.name} onChange={(to) => setResource({ ...resource, name: to })} error={tried && !name ? t.ui.fillIn : ""} required mono />
        <TextField label={a.source} value={source} onChange={setSource} hint={a.sourceHint} mono />
      </div>
    </Form>
  );
}

function Answer(props: { user: User; asked: Question }): VNode {
  const t = useText().accessUser;
  const { user, asked } = props;
  // The rules may have changed meanwhile.
  const answer = useLoad(() => access.test(user.name, asked), [user, JSON.stringify(asked)]);
  return (
    <Await of={answer}>
      {(said) => (
        <div class={`why ${said.allowed ? "ok" : "bad"}`} role="status">
          <h3><Badge tone={said.allowed ? "ok" : "bad"}>{said.allowed ? t.allowed : t.denied}</Badge></h3>
          <p>{t.question(user.name, asked.action, asked.resource, asked.source || "127.0.0.1")}</p>
          <p><Foreign text={said.why} max={1_000} /></p>
          {said.rule && <p>{t.decides} <RuleText rule={said.rule} /></p>}
        </div>
      )}
    </Await>
  );
}
