import type { VNode } from "preact";
import type { TopicType } from "../../api/types";
import { useText } from "../../i18n";
import { SelectField } from "../../ui";

const TYPES: readonly TopicType[] = [
  "TOPIC_TYPE_NORMAL", "TOPIC_TYPE_FIFO", "TOPIC_TYPE_DELAY", "TOPIC_TYPE_TRANSACTION", "TOPIC_TYPE_PRIORITY",
  "TOPIC_TYPE_LITE", "TOPIC_TYPE_MIXED",
];

/** The type of a topic; the hint says what the chosen one takes. */
export function TypeField(props: { value: TopicType; onChange: (type: TopicType) => void }): VNode {
  const t = useText().topics;
  return (
    <SelectField
      label={t.type}
      value={props.value}
      onChange={props.onChange}
      hint={t.typeHints[props.value]}
      options={TYPES.map((type) => ({ value: type, label: t.types[type] }))}
    />
  );
}
