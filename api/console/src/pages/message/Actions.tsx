import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { messages, timers } from "../../api/calls";
import type { FoundMessage, Timer } from "../../api/types";
import { useText } from "../../i18n";
import { Button, Confirm, Link, toast } from "../../ui";

/** What can be done with a message: send it again, or take it back while it waits. */
export function Actions(props: { message: FoundMessage; onChanged: () => void }): VNode {
  const t = useText().message;
  const { message: m } = props;
  const [asked, ask] = useState<"" | "resend" | "recall">("");
  const [sent, setSent] = useState("");
  const close = () => ask("");
  const resend = async () => setSent((await messages.resend(m.message_id, { topic: m.topic })).message_id);
  const recall = async () => {
    const timer = await findTimer(m);
    if (!timer) throw new Error(t.noTimer);
    await timers.recall({ topic: timer.topic, recall_handle: timer.recall_handle });
    toast.done(t.recalled);
    props.onChanged();
  };
  return (
    <>
      {sent && (
        <p role="status" class="resent">
          {t.resentAs} <Link to="messages/:id" params={{ id: sent }} query={{ topic: m.sent_to }} class="mono">{sent}</Link>
        </p>
      )}
      {m.due_unix_ms ? <Button need="operate" kind="danger" onClick={() => ask("recall")}>{t.recall}</Button> : null}
      <Button need="operate" onClick={() => ask("resend")}>{t.resend}</Button>
      {asked === "resend" && (
        <Confirm title={t.resend} action={t.resend} onConfirm={resend} onClose={close}>
          <p>{t.resendText(m.sent_to)}</p>
        </Confirm>
      )}
      {asked === "recall" && (
        <Confirm title={t.recall} action={t.recall} onConfirm={recall} onClose={close}>
          <p>{t.recallText}</p>
        </Confirm>
      )}
    </>
  );
}

/** The handle by which a message is recalled is listed with those that are due at the same time. */
async function findTimer(m: FoundMessage): Promise<Timer | null> {
  const listed = await timers.list({ topic: m.topic, from_unix_ms: m.due_unix_ms ?? 0, limit: 1_000 });
  return listed.timers.find((timer) => timer.message_id === m.message_id) ?? null;
}
