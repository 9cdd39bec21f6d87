import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { messages, observe } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { Client, FoundMessage, VerifyMessageResponse } from "../../api/types";
import { useText } from "../../i18n";
import { Await, Badge, Form, Foreign, SelectField, visible } from "../../ui";

// As the protocol numbers it.
const WELL = 20_000;

/** Has a connected consumer consume the message now, and shows what it says. */
export function Verify(props: { id: string; message: FoundMessage; group: string }): VNode {
  const t = useText().message;
  const clients = useLoad(async (signal) => (await observe.clients({ group: props.group }, signal)).clients, [props.group]);
  return (
    <section class="verify" aria-label={t.verify}>
      <h3>{t.verify}</h3>
      <p class="muted">{t.verifyLead}</p>
      <Await of={clients}>
        {(list) => (list.length === 0 ? <p>{t.verifyNobody(props.group)}</p> : <VerifyForm key={props.group} {...props} clients={list} />)}
      </Await>
    </section>
  );
}

function VerifyForm(props: { id: string; message: FoundMessage; group: string; clients: Client[] }): VNode {
  const t = useText();
  const { id, message, group, clients } = props;
  const [client, choose] = useState("");
  const [tried, setTried] = useState(false);
  const [said, setSaid] = useState<{ client: string; answer: VerifyMessageResponse } | null>(null);
  const submit = async () => {
    setTried(true);
    setSaid(null);
    if (!client) return false;
    const topic = message.topic;
    setSaid({ client, answer: await messages.verify(id, { group, topic, client_id: client }) });
    return true;
  };
  return (
    <>
      <Form onSubmit={submit} submit={t.message.verifyNow} need="operate">
        <SelectField
          label={t.message.client}
          value={client}
          onChange={choose}
          hint={t.message.verifyHint}
          error={tried && !client ? t.ui.fillIn : ""}
          options={[{ value: "", label: t.ui.pick }, ...[...clients].sort(pushFirst).map((one) => ({ value: one.client_id, label: nameOf(one) }))]}
        />
      </Form>
      <div role="status">
        {said && (
          <p>
            <Badge tone={said.answer.code === WELL ? "ok" : "bad"}>{said.answer.code === WELL ? t.message.verifyWell : t.message.verifyFailed}</Badge>{" "}
            <Foreign text={said.client} max={120} />: {said.answer.code} {t.message.verifyCodes[said.answer.code]} <Foreign text={said.answer.message} max={2_000} />
          </p>
        )}
      </div>
    </>
  );
}

/** The others hardly answer. */
function pushFirst(a: Client, b: Client): number {
  return Number(b.kind.includes("push")) - Number(a.kind.includes("push"));
}

function nameOf(client: Client): string {
  return visible(`${client.client_id} (${client.kind}, ${client.language} ${client.version}, ${client.address})`.slice(0, 200));
}
