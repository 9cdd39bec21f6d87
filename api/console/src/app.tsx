import { Component, type ComponentChildren, type VNode } from "preact";
import { useText } from "./i18n";
import { usePlace } from "./router";
import { findPage } from "./routes";
import { loadSession, sessionState } from "./session";
import { Bare, Shell } from "./shell/Shell";
import { useStore } from "./store";
import { Empty, ErrorState, Link, Loading, Page } from "./ui";

/** The whole console: the login page, or the shell with the page of the address. */
export function App(): VNode {
  const now = useStore(sessionState);
  const { path } = usePlace();
  const t = useText();
  if (now.state === "loading") return <Bare><Loading what={t.shell.starting} /></Bare>;
  if (now.state === "failed") return <Bare><ErrorState error={now.error} retry={() => void loadSession()} /></Bare>;
  const found = findPage(path);
  const content = found ? <found.page params={found.params} /> : <NotFound />;
  // While nobody is logged in, the address is that of the login page.
  if (now.state === "out" || path === "login") return <Bare>{content}</Bare>;
  return <Shell><Boundary key={path}>{content}</Boundary></Shell>;
}

function NotFound(): VNode {
  const t = useText().common;
  return (
    <Page title={t.notFound}>
      <Empty title={t.notFoundHint} action={<Link to="">{t.toOverview}</Link>} />
    </Page>
  );
}

/** Keeps the shell when a page fails. */
class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  override componentDidCatch(error: unknown): void {
    this.setState({ error });
  }

  override render(): ComponentChildren {
    if (this.state.error === null) return this.props.children;
    return <ErrorState error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}
