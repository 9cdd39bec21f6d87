import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useDoctor } from "../api/events";
import { useText } from "../i18n";
import { href, usePlace } from "../router";
import { useCan, useSession } from "../session";
import { Icon, type IconName } from "../ui/Icon";

type Key = "overview" | "cluster" | "topics" | "groups" | "messages" | "deadLetters" | "timers" | "transactions" | "access" | "doctor";

const SECTIONS: readonly { title: "cluster" | "data" | "operation"; items: readonly [Key, path: string][] }[] = [
  { title: "cluster", items: [["overview", ""], ["cluster", "cluster"], ["doctor", "doctor"]] },
  { title: "data", items: [["topics", "topics"], ["groups", "groups"], ["messages", "messages"]] },
  {
    title: "operation",
    items: [["deadLetters", "dead-letters"], ["timers", "timers"], ["transactions", "transactions"], ["access", "access"]],
  },
];

/** The navigation of a wide window. */
export function Sidebar(): VNode {
  const t = useText();
  return <nav class="sidebar" aria-label={t.shell.navigation}><Links /></nav>;
}

/** The navigation of a narrow window, over the page. */
export function Drawer(props: { onClose: () => void }): VNode {
  const t = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    return () => dialog.current?.close();
  }, []);
  // A click on the dialog itself is one beside its content.
  const beside = (event: Event) => event.target === dialog.current && props.onClose();
  return (
    <dialog ref={dialog} class="drawer" aria-label={t.shell.navigation} onCancel={props.onClose} onClick={beside}>
      <nav aria-label={t.shell.navigation} onClick={(event) => event.target instanceof Element && event.target.closest("a") && props.onClose()}>
        <button type="button" class="button plain" aria-label={t.shell.closeNavigation} onClick={props.onClose}>
          <Icon name="close" />
        </button>
        <Links />
      </nav>
    </dialog>
  );
}

function Links(): VNode {
  const t = useText();
  const { path } = usePlace();
  const here = path.split("/")[0] ?? "";
  const administers = useCan("administer");
  const access = useSession()?.access_control === true && administers;
  return (
    <>
      {SECTIONS.map((section) => (
        <div class="nav-section" key={section.title}>
          <p class="nav-title">{t.shell.section[section.title]}</p>
          <ul>
            {section.items.filter(([key]) => key !== "access" || access).map(([key, to]) => (
              <li key={key}>
                <a href={href(to)} aria-current={here === to ? (path === to ? "page" : "true") : undefined}>
                  <Icon name={key satisfies IconName} />
                  {t.shell.nav[key]}
                  {key === "doctor" && <Alerts />}
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}

function Alerts(): VNode | null {
  const t = useText();
  const doctor = useDoctor();
  const alerts = doctor?.findings.filter((finding) => finding.level !== "ok").length ?? 0;
  if (!doctor || alerts === 0) return null;
  return (
    <span class={`nav-count ${doctor.worst}`} title={t.shell.alerts(alerts)}>
      <span aria-hidden="true">{alerts}</span>
      <span class="hidden">{t.shell.alerts(alerts)}</span>
    </span>
  );
}
