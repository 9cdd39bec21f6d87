// Runs before the first paint and before the bundle has come: it must stay tiny.
import { begin } from "./begun";
import { applyTheme } from "./theme-choice";

applyTheme();
begin();
