import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useText } from "../../i18n";
import { href, navigate } from "../../router";
import { Form, NumberField, TextField } from "../../ui";
import { TopicField } from "../parts/names";
import { TimeRange } from "../parts/TimeRange";
import { BYS, searchQuery, wrongIn, type By, type Search, type Wrong } from "./search";

const HOUR_MS = 3_600_000;

/** Fields for what is looked for. What was looked for is in the address. */
export function SearchForm(props: { search: Search; limit: string; onAgain: () => void }): VNode {
  const t = useText().messages;
  const [typed, setTyped] = useState(() => withTimes(props.search));
  const [tried, setTried] = useState(false);
  const address = JSON.stringify(props.search);
  // A step back, or a link.
  useEffect(() => setTyped(withTimes(props.search)), [address]);
  const change = (part: Partial<Search>) => setTyped((s) => ({ ...s, ...part }));
  const wrong = tried ? wrongIn(typed) : {};

  const submit = async () => {
    setTried(true);
    const trimmed = { ...typed, id: typed.id.trim(), topic: typed.topic.trim() };
    if (Object.keys(wrongIn(trimmed)).length > 0) return false;
    const to = trimmed.topic
      ? href("messages", {}, { ...searchQuery(trimmed), limit: props.limit })
      : href("messages/:id", { id: trimmed.id });
    if (to === window.location.pathname + window.location.search) props.onAgain();
    else navigate(to);
    return true;
  };
  return (
    <Form onSubmit={submit} submit={t.search}>
      <TopicField
        label={t.topic}
        value={typed.topic}
        onChange={(topic) => change({ topic })}
        error={wrong.topic && t.wrong[wrong.topic]}
        hint={typed.by === "id" ? t.topicHintId : t.topicHint}
        required={typed.by !== "id"}
        all
      />
      <ByChoice by={typed.by} onChange={(by) => change({ by })} />
      <ByFields search={typed} wrong={wrong} onChange={change} />
    </Form>
  );
}

/** Without times it is about the last hour. */
function withTimes(search: Search): Search {
  if (search.from !== null || search.to !== null) return search;
  const to = Math.ceil(Date.now() / 1_000) * 1_000;
  return { ...search, from: to - HOUR_MS, to };
}

function ByChoice(props: { by: By; onChange: (by: By) => void }): VNode {
  const t = useText().messages;
  return (
    <fieldset class="choice">
      <legend>{t.by}</legend>
      {BYS.map((by) => (
        <label key={by}>
          <input type="radio" name="by" checked={by === props.by} onChange={() => props.onChange(by)} /> {t.bys[by]}
        </label>
      ))}
    </fieldset>
  );
}

function ByFields(props: { search: Search; wrong: Wrong; onChange: (part: Partial<Search>) => void }): VNode {
  const t = useText().messages;
  const { search: s, wrong, onChange } = props;
  const error = (key: keyof Search) => {
    const kind = wrong[key];
    return kind && t.wrong[kind];
  };
  if (s.by === "id") return <TextField label={t.id} value={s.id} onChange={(id) => onChange({ id })} error={error("id")} mono required />;
  if (s.by === "key") {
    return <TextField label={t.key} value={s.key} onChange={(key) => onChange({ key })} error={error("key")} hint={t.keyHint} mono required />;
  }
  if (s.by === "time") return <TimeRange value={s} onChange={onChange} fromError={error("from")} toError={error("to")} />;
  return (
    <div class="field-row">
      <NumberField label={t.queue} value={s.queue} onChange={(queue) => onChange({ queue })} error={error("queue")} min={0} step={1} required />
      <NumberField
        label={t.offset}
        value={s.offset}
        onChange={(offset) => onChange({ offset })}
        error={error("offset")}
        hint={t.offsetHint}
        min={0}
        step={1}
        required
      />
    </div>
  );
}
