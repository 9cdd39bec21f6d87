import { createStore, recall, remember, useStore } from "./store";

export type Theme = "auto" | "light" | "dark";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const known = (text: string | null): Theme => (text === "light" || text === "dark" ? text : "auto");

/** What was chosen. */
export const theme = createStore<Theme>(known(recall("theme")));
/** What is shown. */
export const shownTheme = createStore<"light" | "dark">("light");

function apply(): void {
  const chosen = theme.get();
  const shown = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  document.documentElement.dataset["theme"] = shown;
  shownTheme.set(shown);
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
