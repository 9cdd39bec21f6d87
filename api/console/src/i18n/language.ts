import { recall, remember } from "../recall";
import { createStore, useStore } from "../store";

/** The languages of the console, as BCP 47 has them. */
export type Language = "en" | "zh";

function first(): Language {
  const remembered = recall("language");
  if (remembered === "en" || remembered === "zh") return remembered;
  const preferred = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)\b/i.test(tag));
  return preferred?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const language = createStore<Language>(first());

/** Chooses a language, and remembers it. */
export function setLanguage(next: Language): void {
  remember("language", next);
  language.set(next);
  showLanguage();
}

/** Tells the browser and screen readers what language the page is in. */
export function showLanguage(): void {
  document.documentElement.lang = language.get() === "zh" ? "zh-Hans" : "en";
}

/** The language that is shown. */
export const useLanguage = (): Language => useStore(language);
