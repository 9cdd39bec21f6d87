import type { VNode } from "preact";
import { messages } from "../api/calls";
import { useLoad, type Loaded } from "../api/load";
import { useText } from "../i18n";
import { usePlace, useQueryState, setQuery } from "../router";
import { Await, Badge, Card, Empty, Page, SelectField } from "../ui";
import { NothingFound, Results, rowOf, type Row } from "./messages/Results";
import { readSearch, requestOf, type Search } from "./messages/search";
import { SearchForm } from "./messages/SearchForm";
import { PageSteps } from "./parts/Steps";

const LIMITS = ["20", "50", "100", "200"] as const;

interface Found {
  rows: Row[];
  next: string;
  cut: boolean;
}

export default function MessagesPage(): VNode {
  const t = useText().messages;
  const { query } = usePlace();
  const search = readSearch(query);
  const [limit] = useQueryState("limit");
  const found = useFound(search, query.get("at") ?? "", Number(limit) || 50);
  return (
    <Page title={t.title} lead={t.lead}>
      <Card title={t.searchTitle}>
        <SearchForm search={search} limit={limit} onAgain={found.reload} />
      </Card>
      <Card title={t.results} actions={<LimitField />}>
        {requestOf(search) === null ? <Empty title={t.notYet} hint={t.notYetHint} /> : <FoundMessages found={found} />}
      </Card>
    </Page>
  );
}

function useFound(search: Search, at: string, limit: number): Loaded<Found | null> {
  const request = requestOf(search);
  return useLoad(
    async (signal) => {
      if (!request) return null;
      const answer = await messages.query({ ...request, limit, continuation: at }, signal);
      return { rows: answer.messages.map(rowOf), next: answer.continuation ?? "", cut: answer.cut };
    },
    [JSON.stringify(request), at, limit],
  );
}

function FoundMessages(props: { found: Loaded<Found | null> }): VNode {
  const t = useText().messages;
  const at = usePlace().query.get("at") ?? "";
  return (
    <Await of={props.found}>
      {(data) => data && (
        <>
          {data.cut && <p role="status"><Badge tone="warn">{t.cut}</Badge> {t.cutText}</p>}
          <Results rows={data.rows} empty={<NothingFound further={at !== ""} cut={data.cut} />} />
          <PageSteps param="at" at={at} next={data.rows.length > 0 || data.cut ? data.next : ""} />
        </>
      )}
    </Await>
  );
}

function LimitField(): VNode {
  const t = useText().messages;
  const [limit] = useQueryState("limit", "50");
  return (
    <SelectField
      label={t.limit}
      bare
      value={limit}
      onChange={(to) => setQuery({ limit: to === "50" ? null : to, at: null }, { push: true })}
      options={LIMITS.map((n) => ({ value: n as string, label: t.perPage(Number(n)) }))}
    />
  );
}
