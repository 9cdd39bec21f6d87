import "./styles/app.css";
import { render } from "preact";
import { App } from "./app";
import { showLanguage } from "./i18n/language";
import { startRouter } from "./router";
import { loadSession, watchSession } from "./session";
import { startTheme } from "./theme";

// Until then the empty frame of index.html is enough; who waits longer is told what for.
const SILENT_MS = 300;

startTheme();
showLanguage();
startRouter();
watchSession();

const root = document.getElementById("app");
const silence = new Promise((end) => window.setTimeout(end, SILENT_MS));
void Promise.race([loadSession(), silence]).then(() => root && render(<App />, root));
