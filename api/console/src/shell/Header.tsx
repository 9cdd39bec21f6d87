import type { VNode } from "preact";
import { useCluster, useLive } from "../api/events";
import { useText } from "../i18n";
import { href } from "../router";
import { useSession } from "../session";
import { Icon } from "../ui/Icon";
import { LanguageSwitch, ThemeSwitch } from "./Switches";
import { UserMenu } from "./UserMenu";

/** Where one is, whether it is live, and the switches. */
export function Header(props: { onMenu: () => void; menuOpen: boolean }): VNode {
  const t = useText();
  const session = useSession();
  const cluster = useCluster()?.cluster ?? session?.cluster ?? "";
  return (
    <header class="header">
      <button
        type="button"
        class="button plain menu-button"
        aria-label={t.shell.openNavigation}
        aria-expanded={props.menuOpen}
        onClick={props.onMenu}
      >
        <Icon name="menu" />
      </button>
      <a class="brand" href={href("")}>{t.common.product}</a>
      <div class="where">
        <span class="where-cluster" title={cluster}>{cluster}</span>
        <span class="where-node muted">{session && t.shell.node(session.node.name)}</span>
      </div>
      <LiveIndicator />
      <div class="switches">
        <LanguageSwitch />
        <ThemeSwitch />
        {session && <UserMenu session={session} />}
      </div>
    </header>
  );
}

function LiveIndicator(): VNode {
  const t = useText();
  const { state } = useLive();
  return (
    <span class={`live ${state}`} role="status" title={t.shell.live[state]}>
      <span class="live-dot" aria-hidden="true" />
      <span class="live-text">{t.shell.live[state]}</span>
    </span>
  );
}
