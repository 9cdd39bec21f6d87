import { recall } from "./recall";

export type Theme = "auto" | "light" | "dark";

/** What this browser was told to show. */
export function chosenTheme(): Theme {
  const text = recall("theme");
  return text === "light" || text === "dark" ? text : "auto";
}

/** Shows a theme; the system's while it is automatic. Returns what is shown. */
export function applyTheme(chosen: Theme = chosenTheme()): "light" | "dark" {
  const shown = chosen !== "auto" ? chosen : window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset["theme"] = shown;
  return shown;
}
