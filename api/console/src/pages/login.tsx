import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { useText } from "../i18n";
import { BASE, navigate, usePlace } from "../router";
import { login, useSession } from "../session";
import { Form, Page, TextField } from "../ui";

export default function LoginPage(): VNode {
  const t = useText();
  const [user, setUser] = useState("");
  const [secret, setSecret] = useState("");
  const [tried, setTried] = useState(false);
  const session = useSession();
  const to = usePlace().query.get("to") ?? "";
  useEffect(() => {
    // Nothing to do here for who is in, and where access is not controlled.
    if (session) navigate(BASE + to.replace(/^\/+/, ""), { replace: true });
  }, [session]);

  const missing = (value: string) => (tried && !value ? t.ui.fillIn : "");
  const submit = async () => {
    setTried(true);
    if (!user || !secret) return false;
    try {
      await login(user, secret);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) throw new Error(error.message || t.login.wrong);
      throw error;
    }
    return true;
  };
  return (
    <Page title={t.login.title} lead={t.login.lead}>
      <Form onSubmit={submit} submit={t.login.submit}>
        <TextField label={t.login.user} hint={t.login.userHint} value={user} onChange={setUser} error={missing(user)} autocomplete="username" />
        <TextField
          label={t.login.secret}
          type="password"
          value={secret}
          onChange={setSecret}
          error={missing(secret)}
          autocomplete="current-password"
        />
      </Form>
    </Page>
  );
}
