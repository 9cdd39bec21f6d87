import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { topics as calls } from "../../api/calls";
import type { Topic, UpdateTopicRequest } from "../../api/types";
import { useText } from "../../i18n";
import { Dialog, Form, NumberField, toast } from "../../ui";
import { changedSettings, draftOf, settingsErrors } from "../topics/settings";
import { SettingsFields } from "../topics/SettingsFields";
import { TypeField } from "../topics/TypeField";

/** Changes a topic. Only what was changed here is sent. */
export function ChangeTopic(props: { topic: Topic; onClose: () => void; onDone: () => void }): VNode {
  const t = useText();
  const tt = t.topics;
  // What it was when the form was opened: what others change meanwhile stays theirs.
  const [before] = useState(props.topic);
  const [type, setType] = useState(before.type);
  const [queues, setQueues] = useState<number | null>(before.queues);
  const [settings, setSettings] = useState(() => draftOf(before.settings));
  const [tried, setTried] = useState(false);
  const errors = settingsErrors(settings, type, tt.settings);

  const submit = async () => {
    setTried(true);
    if (queuesError(queues, before.queues, tt) || Object.keys(errors).length) return false;
    const change: UpdateTopicRequest = {};
    if (type !== before.type) change.type = type;
    if (queues !== before.queues) change.queues = queues ?? before.queues;
    const set = changedSettings(draftOf(before.settings), settings);
    if (Object.keys(set).length) change.settings = set;
    if (Object.keys(change).length === 0) throw new Error(t.topic.nothingChanged);
    await calls.update(before.name, change);
    toast.done(t.topic.changed);
    props.onDone();
    props.onClose();
    return true;
  };
  return (
    <Dialog title={t.topic.changeTitle(before.name)} onClose={props.onClose} wide>
      <Form submit={t.ui.save} onSubmit={submit} onCancel={props.onClose} need="operate">
        <div class="field-row">
          <TypeField value={type} onChange={setType} />
          <NumberField
            label={tt.queues}
            required
            value={queues}
            onChange={setQueues}
            min={before.queues}
            max={65_536}
            error={tried ? queuesError(queues, before.queues, tt) : ""}
          />
        </div>
        <SettingsFields draft={settings} onChange={setSettings} errors={tried ? errors : {}} type={type} lead={tt.settings.leadChange} />
      </Form>
    </Dialog>
  );
}

function queuesError(queues: number | null, least: number, t: ReturnType<typeof useText>["topics"]): string {
  if (queues === null || !Number.isInteger(queues) || queues > 65_536) return t.queuesWrong;
  return queues < least ? t.queuesFewer(least) : "";
}
