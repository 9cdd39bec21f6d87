import type { Sentence } from "./api/types";
import { useText } from "./i18n";
import { absolute } from "./time";

/** What a node says, in the viewer's language and with times in his zone. `plain`: as nodes of older versions say it. */
export function useSay(): (said: Sentence | null | undefined, plain: string) => string {
  const { sentences } = useText();
  return (said, plain) => (said ? fill(sentences[said.code] ?? said.template, said.values) : plain);
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_gap, name: string) => {
    const value = Object.hasOwn(values, name) ? (values[name] ?? "") : "?";
    return name.endsWith("_unix_ms") ? absolute(Number(value)) : value;
  });
}
