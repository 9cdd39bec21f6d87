import { createStore } from "../store";
import type { ErrorBody, ErrorCode } from "./types";

const ROOT = "/api/v1";

/** A call that failed. The message is a sentence for people, by the node; empty if the node did not answer. */
export class ApiError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** 0: there was no answer. */
    readonly status: number,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Counts how often a call was refused because the session is over. */
export const refusedSessions = createStore(0);

/** The query of a call. What is unset or "" is left out, `false` is sent, and a list becomes repeated parameters. */
export type CallQuery = Record<string, string | number | boolean | null | undefined | readonly (string | number)[]>;

/** What a call may be given beside its path. */
export interface CallOptions {
  query?: CallQuery;
  body?: unknown;
  signal?: AbortSignal;
  /** A 401 does not mean that the session is over: it is the login itself. */
  login?: boolean;
  /** The answer, if the same was asked already. */
  begun?: Promise<Response> | undefined;
}

/** A path whose values are percent-encoded: path`/topics/${name}`. */
export function path(fixed: TemplateStringsArray, ...values: (string | number)[]): string {
  return fixed.reduce((all, part, i) => all + encodeURIComponent(String(values[i - 1] ?? "")) + part);
}

const ownAccord = new WeakSet<AbortSignal>();

/** Marks calls with this signal as made by the page, not by a person: they do not keep the session alive. */
export function background(signal: AbortSignal): AbortSignal {
  ownAccord.add(signal);
  return signal;
}

function queryText(query: CallQuery): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  const text = search.toString();
  return text && `?${text}`;
}

/** Calls the HTTP API. Throws ApiError. */
export async function call<T>(verb: string, at: string, options: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (options.signal && ownAccord.has(options.signal)) headers["x-ledgermq-background"] = "1";
  if (verb !== "GET") {
    headers["x-ledgermq-console"] = "1";
    headers["content-type"] = "application/json";
  }
  const asked = options.begun ?? fetch(ROOT + at + queryText(options.query ?? {}), {
    method: verb,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal: options.signal,
    body: verb === "GET" ? undefined : JSON.stringify(options.body ?? {}),
  });
  const answer = await answered(asked);
  if (!answer.ok) {
    const error = await readError(answer);
    if (answer.status === 401 && !options.login) refusedSessions.set(refusedSessions.get() + 1);
    throw error;
  }
  return (await readJson(answer)) as T;
}

async function answered(asked: Promise<Response>): Promise<Response> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("NETWORK", "", 0);
  }
}

async function readJson(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!text) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("INTERNAL", "", answer.status);
  }
}

async function readError(answer: Response): Promise<ApiError> {
  try {
    const body = (await answer.json()) as Partial<ErrorBody>;
    if (body.error) return new ApiError(body.error.code, body.error.message, answer.status);
  } catch {
    // Not ours: a proxy in between, perhaps.
  }
  return new ApiError("UNKNOWN", "", answer.status);
}

/** Whether an error only says that nobody waits for the answer any more. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
