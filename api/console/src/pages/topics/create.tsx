import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { topics as calls } from "../../api/calls";
import type { TopicType } from "../../api/types";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { CheckField, Dialog, Form, NumberField, TextField, toast } from "../../ui";
import { changedSettings, draftOf, settingsErrors } from "./settings";
import { SettingsFields } from "./SettingsFields";
import { TypeField } from "./TypeField";

const NAME = /^[A-Za-z0-9_%|-]{1,127}$/;

/** Makes a topic, and goes to it. */
export function CreateTopic(props: { onClose: () => void }): VNode {
  const t = useText();
  const tt = t.topics;
  const [name, setName] = useState("");
  const [type, setType] = useState<TopicType>("TOPIC_TYPE_NORMAL");
  const [queues, setQueues] = useState<number | null>(8);
  const [ifNotExists, setIfNotExists] = useState(false);
  const [settings, setSettings] = useState(draftOf(null));
  const [tried, setTried] = useState(false);
  const errors = settingsErrors(settings, type, tt.settings);
  const nameError = !name ? t.ui.fillIn : NAME.test(name) ? "" : tt.nameWrong;
  const queuesError = queues === null || (Number.isInteger(queues) && queues >= 1 && queues <= 65_536) ? "" : tt.queuesWrong;

  const submit = async () => {
    setTried(true);
    if (nameError || queuesError || Object.keys(errors).length) return false;
    const set = changedSettings(draftOf(null), type === "TOPIC_TYPE_LITE" ? settings : { ...settings, lite_idle_ms: null });
    await calls.create({ name, type, queues: queues ?? 0, if_not_exists: ifNotExists, settings: set });
    toast.done(tt.created(name));
    navigate(href("topics/:name", { name }));
    return true;
  };
  return (
    <Dialog title={tt.create} onClose={props.onClose} wide>
      <Form submit={tt.create} onSubmit={submit} onCancel={props.onClose} need="operate">
        <TextField label={tt.name} required mono value={name} onChange={setName} hint={tt.nameHint} error={tried ? nameError : ""} />
        <div class="field-row">
          <TypeField value={type} onChange={setType} />
          <NumberField label={tt.queues} value={queues} onChange={setQueues} min={1} max={65_536} hint={tt.queuesHint} error={tried ? queuesError : ""} />
        </div>
        <SettingsFields draft={settings} onChange={setSettings} errors={tried ? errors : {}} type={type} lead={tt.settings.lead} />
        <CheckField label={tt.ifNotExists} hint={tt.ifNotExistsHint} value={ifNotExists} onChange={setIfNotExists} />
      </Form>
    </Dialog>
  );
}
