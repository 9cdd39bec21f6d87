import en, { type Texts } from "./en";
import { language, useLanguage, type Language } from "./language";
import zh from "./zh";

const all: Record<Language, Texts> = { en, zh };

/** All texts in the language that is shown: `const t = useText(); t.topics.title`. */
export function useText(): Texts {
  return all[useLanguage()];
}

/** The same outside of components; it does not follow when the language changes. */
export function text(): Texts {
  return all[language.get()];
}
