import type { VNode } from "preact";
import { useText } from "../i18n";
import { createStore, useStore } from "../store";
import { Icon } from "./Icon";
import { errorText } from "./States";

interface Note {
  id: number;
  tone: "ok" | "bad";
  text: string;
}

const notes = createStore<readonly Note[]>([]);
let last = 0;

function add(tone: Note["tone"], text: string): void {
  const id = ++last;
  notes.set([...notes.get().slice(-4), { id, tone, text }]);
  // What failed stays until it is dismissed.
  if (tone === "ok") window.setTimeout(() => dismiss(id), 5_000);
}

function dismiss(id: number): void {
  notes.set(notes.get().filter((note) => note.id !== id));
}

/** Tells what came of something, at the edge of the window. */
export const toast = {
  done: (text: string): void => add("ok", text),
  failed: (error: unknown): void => add("bad", errorText(error)),
};

/** Where toasts appear. Once in the shell. */
export function Toasts(): VNode {
  const t = useText();
  return (
    <div class="toasts" role="region" aria-label={t.ui.notifications}>
      <div role="status" aria-live="polite">
        {useStore(notes).map((note) => (
          <div key={note.id} class={`toast ${note.tone}`}>
            <Icon name={note.tone} />
            <p>{note.text}</p>
            <button type="button" class="button plain small" aria-label={t.ui.dismiss} onClick={() => dismiss(note.id)}>
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
    </div>
  );
}
