import "./styles/app.css";
import { render } from "preact";
import { App } from "./app";
import { showLanguage } from "./i18n/language";
import { startRouter } from "./router";
import { loadSession, watchSession } from "./session";
import { startTheme } from "./theme";

startTheme();
showLanguage();
startRouter();
watchSession();
void loadSession();

const root = document.getElementById("app");
if (root) render(<App />, root);
