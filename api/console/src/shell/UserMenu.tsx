import type { VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Session } from "../api/types";
import { useText } from "../i18n";
import { logout } from "../session";
import { Time } from "../time";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";

/** Who is logged in, and the way out. */
export function UserMenu(props: { session: Session }): VNode {
  const t = useText();
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);
  const escape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    setOpen(false);
    opener.current?.focus();
  };
  return (
    <div class="user-menu" ref={box} onKeyDown={escape}>
      <button
        type="button"
        ref={opener}
        class="button plain"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={t.shell.userMenu(props.session.user)}
        onClick={() => setOpen(!open)}
      >
        <Icon name="user" />
        <span class="user-name">{props.session.user}</span>
      </button>
      {open && <div class="popover" id={id}><Details session={props.session} /></div>}
    </div>
  );
}

function Details(props: { session: Session }): VNode {
  const t = useText();
  const { session } = props;
  return (
    <>
      {session.access_control ? (
        <p><strong>{session.user}</strong><br /><span class="muted">{t.common.role[session.role]}</span></p>
      ) : (
        <p>{t.shell.noUser}</p>
      )}
      {session.expires_unix_ms !== null && (
        <p class="muted">{t.shell.expires}<br /><Time ms={session.expires_unix_ms} /></p>
      )}
      <p class="muted">{t.shell.version(session.version)}</p>
      {session.access_control && <Button onClick={logout}>{t.shell.logout}</Button>}
    </>
  );
}
