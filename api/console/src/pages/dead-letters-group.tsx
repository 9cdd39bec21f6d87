import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { deadLetters } from "../api/calls";
import { useLoad } from "../api/load";
import type { DeadLetter } from "../api/types";
import { useText } from "../i18n";
import { setQuery, usePlace } from "../router";
import type { PageProps } from "../routes";
import { Await, Button, Card, CheckField, Confirm, isRunning, Link, Page, StepsView, useSteps } from "../ui";
import { Letters, placeKey } from "./dead-letters/Letters";
import { resendAll, resendPlaces, type Filter, type Outcome } from "./dead-letters/resend";
import { OutcomeView } from "./dead-letters/OutcomeView";
import { PageSteps } from "./parts/Steps";
import { TimeRange } from "./parts/TimeRange";

const PAGE = 50;

export default function DeadLettersGroupPage(props: PageProps): VNode {
  const t = useText().deadLettersGroup;
  const group = props.params["group"] ?? "";
  return (
    <Page
      title={t.title(group)}
      crumbs={[{ title: t.all, to: "dead-letters" }]}
      lead={<>{t.lead} <Link to="groups/:name" params={{ name: group }}>{t.toGroup}</Link></>}
    >
      <GroupLetters key={group} group={group} />
    </Page>
  );
}

/** What the address asks for. */
function readFilter(query: URLSearchParams): Filter & { resent: boolean; at: string } {
  const ms = (key: string) => (/^\d{1,16}$/.test(query.get(key) ?? "") ? Number(query.get(key)) : undefined);
  return { from_unix_ms: ms("from"), to_unix_ms: ms("to"), resent: query.get("resent") === "true", at: query.get("at") ?? "" };
}

function GroupLetters(props: { group: string }): VNode {
  const t = useText().deadLettersGroup;
  const { group } = props;
  const { resent, at, ...filter } = readFilter(usePlace().query);
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const [outcome, setOutcome] = useState<Outcome>({});
  const [asked, ask] = useState<"all" | DeadLetter[] | null>(null);
  const steps = useSteps();
  const deps = [group, resent, at, filter.from_unix_ms, filter.to_unix_ms];
  const page = useLoad((signal) => deadLetters.list(group, { ...filter, resent, cursor: at, limit: PAGE }, signal), deps);
  // What is ticked is on the page that is shown.
  useEffect(() => setKeys(new Set()), deps);
  const letters = useMemo(() => page.data?.letters ?? [], [page.data]);
  const chosen = letters.filter((letter) => keys.has(placeKey(letter)));

  const run = async (action: Parameters<typeof steps.start>[0]) => {
    setOutcome({});
    await steps.start(action);
    setKeys(new Set());
    page.reload();
  };
  const resend = (places: DeadLetter[]) =>
    run((control) => resendPlaces(control, group, places.map(({ queue, offset }) => ({ queue, offset })), {}, setOutcome));
  const close = () => ask(null);
  const busy = isRunning(steps) ? t.running : "";
  return (
    <>
      <Filters filter={filter} resent={resent} />
      <Card
        title={t.letters}
        actions={
          <>
            <Button onClick={page.reload} busy={page.loading}>{t.reload}</Button>
            <Button need="operate" unusable={busy || (chosen.length === 0 ? t.selectFirst : "")} onClick={() => ask(chosen)}>
              {t.resendSelected(chosen.length)}
            </Button>
            <Button need="operate" kind="danger" unusable={busy} onClick={() => ask("all")}>{t.resendAll}</Button>
          </>
        }
      >
        <StepsView steps={steps} label={t.running} done={t.finished} />
        <OutcomeView outcome={outcome} />
        <Await of={page}>
          {(data) => (
            <>
              <Letters group={group} letters={data.letters} selection={{ keys, set: setKeys }} withState={resent} further={at !== "" || data.cursor !== ""} onResend={(letter) => ask([letter])} />
              <PageSteps param="at" at={at} next={data.cursor} />
            </>
          )}
        </Await>
      </Card>
      {asked === "all" && (
        <Confirm
          title={t.resendAllOf(group)}
          name={group}
          action={t.resendAll}
          onClose={close}
          onConfirm={async () => void run((control) => resendAll(control, group, filter, setOutcome))}
        >
          <p>{filter.from_unix_ms || filter.to_unix_ms ? t.resendAllFiltered : t.resendAllText}</p>
          <p>{t.resendAllHow}</p>
        </Confirm>
      )}
      {asked !== null && asked !== "all" && (
        <Confirm title={t.resendTitle(asked.length)} action={t.resend} onClose={close} onConfirm={async () => void resend(asked)}>
          <p>{t.resendText}</p>
          <p>{t.resendAllHow}</p>
        </Confirm>
      )}
    </>
  );
}

function Filters(props: { filter: Filter; resent: boolean }): VNode {
  const t = useText().deadLettersGroup;
  const { filter, resent } = props;
  const { from_unix_ms: from = null, to_unix_ms: to = null } = filter;
  const wrong = from !== null && to !== null && from >= to ? t.order : "";
  return (
    <Card title={t.filters} actions={<Button size="small" unusable={from === null && to === null ? t.noFilter : ""} onClick={() => setQuery({ from: null, to: null, at: null })}>{t.clear}</Button>}>
      <TimeRange
        value={{ from, to }}
        toError={wrong}
        fromLabel={t.from}
        toLabel={t.to}
        onChange={(range) => setQuery({ from: range.from, to: range.to, at: null })}
      />
      <CheckField label={t.withResent} value={resent} onChange={(on) => setQuery({ resent: on, at: null }, { push: true })} hint={t.withResentHint} />
    </Card>
  );
}
