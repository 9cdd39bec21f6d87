import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useText } from "../i18n";
import { usePlace } from "../router";
import { Toasts } from "../ui/Toast";
import { AwayBanner } from "./AwayBanner";
import { Header } from "./Header";
import { LanguageSwitch, ThemeSwitch } from "./Switches";
import { Drawer, Sidebar } from "./Navigation";

const MAIN = "content";

/** Navigation, header and the page. */
export function Shell(props: { children: ComponentChildren }): VNode {
  const t = useText();
  const { path } = usePlace();
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  return (
    <div class="shell">
      <a class="skip" href={`#${MAIN}`}>{t.shell.skip}</a>
      <Header onMenu={() => setOpen(true)} menuOpen={open} />
      <Sidebar />
      {open && <Drawer onClose={() => setOpen(false)} />}
      <main id={MAIN} tabIndex={-1}>
        <AwayBanner />
        {props.children}
      </main>
      <Toasts />
    </div>
  );
}

/** The page alone: before and after a session. */
export function Bare(props: { children: ComponentChildren }): VNode {
  const t = useText();
  return (
    <div class="bare">
      <header class="bare-head">
        <span class="brand">{t.common.product}</span>
        <LanguageSwitch />
        <ThemeSwitch />
      </header>
      <main>{props.children}</main>
      <Toasts />
    </div>
  );
}
