import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { groups, topics } from "../../api/calls";
import { useLoad } from "../../api/load";
import { TextField } from "../../ui";

interface NameProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  error?: string;
  hint?: string;
  required?: boolean;
  bare?: boolean;
  placeholder?: string;
}

// Browsers stall on lists of thousands.
const OFFERED = 50;

/** The first names that have what is typed in them. */
function useOffers(names: readonly string[], typed: string): string[] {
  return useMemo(() => {
    const wanted = typed.toLowerCase();
    const found: string[] = [];
    for (const name of names) {
      if (!name.toLowerCase().includes(wanted)) continue;
      found.push(name);
      if (found.length === OFFERED) break;
    }
    return found;
  }, [names, typed]);
}

const NONE: readonly string[] = [];

/** The name of a topic; those that there are, are offered. */
export function TopicField(props: NameProps & { /** Dead-letter topics too. */ all?: boolean }): VNode {
  const loaded = useLoad(async (signal) => (await topics.list({ all: props.all }, signal)).topics.map((topic) => topic.name), [props.all]);
  return <TextField {...props} mono list={useOffers(loaded.data ?? NONE, props.value)} />;
}

/** The name of a consumer group; those that there are, are offered, `first` before all others. */
export function GroupField(props: NameProps & { first?: readonly string[] }): VNode {
  const loaded = useLoad(async (signal) => (await groups.list(signal)).groups.map((group) => group.name), []);
  const names = useMemo(() => [...new Set([...(props.first ?? NONE), ...(loaded.data ?? NONE)])], [props.first, loaded.data]);
  return <TextField {...props} mono list={useOffers(names, props.value)} />;
}
