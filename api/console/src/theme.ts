import { remember } from "./recall";
import { createStore, useStore } from "./store";
import { applyTheme, chosenTheme, type Theme } from "./theme-choice";

export type { Theme } from "./theme-choice";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** What was chosen. */
export const theme = createStore<Theme>(chosenTheme());
/** What is shown. */
export const shownTheme = createStore<"light" | "dark">("light");

function apply(): void {
  shownTheme.set(applyTheme(theme.get()));
}

/** Shows the theme, and follows the system while it is automatic. Called once. */
export function startTheme(): void {
  dark.addEventListener("change", apply);
  apply();
}

/** Chooses a theme, and remembers it. */
export function setTheme(next: Theme): void {
  theme.set(next);
  remember("theme", next);
  apply();
}

/** The chosen theme. */
export const useTheme = (): Theme => useStore(theme);
/** The shown theme, for what is painted rather than styled. */
export const useShownTheme = (): "light" | "dark" => useStore(shownTheme);
