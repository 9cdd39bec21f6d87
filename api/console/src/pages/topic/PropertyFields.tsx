import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { useText } from "../../i18n";
import { Button, Icon, TextField } from "../../ui";
import type { Property } from "./draft";

/** Rows of names and values. */
export function PropertyFields(props: { properties: Property[]; onChange: (properties: Property[]) => void; errors: string[] }): VNode {
  const s = useText().topic.sending;
  const box = useRef<HTMLFieldSetElement>(null);
  const { properties, onChange } = props;
  const change = (at: number, part: Partial<Property>) => onChange(properties.map((one, i) => (i === at ? { ...one, ...part } : one)));
  const focusLater = (which: (inputs: NodeListOf<HTMLElement>) => HTMLElement | undefined) =>
    requestAnimationFrame(() => {
      const inputs = box.current?.querySelectorAll<HTMLElement>("li input, .add button");
      if (inputs) which(inputs)?.focus();
    });
  const add = () => {
    onChange([...properties, { row: (properties.at(-1)?.row ?? 0) + 1, name: "", value: "" }]);
    // The name of the new one: behind it are its value and the button.
    focusLater((inputs) => inputs[inputs.length - 3]);
  };
  const drop = (at: number) => {
    onChange(properties.filter((_, i) => i !== at));
    focusLater((inputs) => inputs[inputs.length - 1]);
  };
  return (
    <fieldset class="fields" ref={box}>
      <legend>{s.properties}</legend>
      {properties.length > 0 && (
        <ul class="pairs">
          {properties.map((one, i) => (
            <li key={one.row}>
              <TextField
                bare
                label={s.propertyName(i + 1)}
                placeholder={s.namePlaceholder}
                value={one.name}
                onChange={(name) => change(i, { name })}
                error={props.errors[i] ?? ""}
              />
              <TextField bare label={s.propertyValue(i + 1)} placeholder={s.valuePlaceholder} value={one.value} onChange={(value) => change(i, { value })} />
              <Button kind="plain" label={s.dropProperty(i + 1)} onClick={() => drop(i)}><Icon name="close" /></Button>
            </li>
          ))}
        </ul>
      )}
      <div class="add"><Button size="small" onClick={add}>{s.addProperty}</Button></div>
    </fieldset>
  );
}
