import { deadLetters } from "../../api/calls";
import type { DeadLetterPlace, ResendKind } from "../../api/types";
import type { StepsControl } from "../../ui";

/** What came of it, by kind. */
export type Outcome = Partial<Record<ResendKind, number>>;

/** Which dead letters of a group. */
export interface Filter {
  from_unix_ms?: number;
  to_unix_ms?: number;
}

// More are not taken in one call.
const PLACES_MAX = 1_024;
const PAGE = 1_000;

export const total = (outcome: Outcome): number => Object.values(outcome).reduce((all, n) => all + n, 0);

/** Sends dead letters again, place by place. `tell` has the outcome so far. */
export async function resendPlaces(
  control: StepsControl,
  group: string,
  places: readonly DeadLetterPlace[],
  outcome: Outcome,
  tell: (outcome: Outcome) => void,
): Promise<void> {
  for (let at = 0; at < places.length && !control.stopped; at += PLACES_MAX) {
    const { results } = await deadLetters.resend(group, { places: places.slice(at, at + PLACES_MAX) });
    for (const { kind } of results) outcome[kind] = (outcome[kind] ?? 0) + 1;
    tell({ ...outcome });
  }
}

/** Sends all that match again that were not yet: walks through their places, page by page. */
export async function resendAll(
  control: StepsControl,
  group: string,
  filter: Filter,
  tell: (outcome: Outcome) => void,
): Promise<void> {
  const outcome: Outcome = {};
  // What is buried from now on is not among them: it would not end if they came back as fast as they are sent.
  const bounds = { ...filter, to_unix_ms: Math.min(filter.to_unix_ms ?? Infinity, Date.now()) };
  let cursor = "";
  do {
    const page = await deadLetters.list(group, { ...bounds, limit: PAGE, cursor, places_only: true, resent: false });
    cursor = page.cursor;
    await resendPlaces(control, group, page.letters.map(({ queue, offset }) => ({ queue, offset })), outcome, tell);
    control.tell({ done: total(outcome) });
  } while (cursor && !control.stopped);
}
