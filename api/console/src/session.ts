import { lastCluster, startEvents, stopEvents } from "./api/events";
import { session as calls } from "./api/calls";
import { ApiError, refusedSessions } from "./api/client";
import type { Role, Session } from "./api/types";
import { BASE, href, navigate, place, queryText } from "./router";
import { createStore, useStore } from "./store";

/** Who is logged in, as far as it is known. */
export type SessionState =
  | { state: "loading" }
  | { state: "in"; session: Session }
  | { state: "out" }
  | { state: "failed"; error: unknown };

export const sessionState = createStore<SessionState>({ state: "loading" });

const ROLES: readonly Role[] = ["see", "operate", "administer"];

/** Asks the node who is logged in. Called at the start, and to try again. */
export async function loadSession(): Promise<void> {
  sessionState.set({ state: "loading" });
  try {
    enter(await calls.get());
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) leave();
    else sessionState.set({ state: "failed", error });
  }
}

/** Logs in, and goes back to where one was. */
export async function login(user: string, secret: string): Promise<void> {
  enter(await calls.login({ user, secret }));
  navigate(BASE + (place.get().query.get("to") ?? "").replace(/^\/+/, ""), { replace: true });
}

/** Logs out. */
export async function logout(): Promise<void> {
  await calls.logout();
  stopEvents();
  sessionState.set({ state: "out" });
  navigate(href("login"));
}

/** Begins to notice when the session is over. Called once. */
export function watchSession(): void {
  refusedSessions.subscribe(leave);
  // A step back after logging out leads to no page.
  place.subscribe(() => sessionState.get().state === "out" && leave());
}

function enter(session: Session): void {
  sessionState.set({ state: "in", session });
  startEvents();
}

function leave(): void {
  stopEvents();
  sessionState.set({ state: "out" });
  const { path, query } = place.get();
  if (path === "login") return;
  navigate(href("login", {}, { to: path + queryText(Object.fromEntries(query)) }), { replace: true });
}

/** The session; null while nobody is logged in. */
export function useSession(): Session | null {
  const now = useStore(sessionState);
  return now.state === "in" ? now.session : null;
}

/** Whether the user may do what needs this role. */
export function useCan(need: Role): boolean {
  const session = useSession();
  return session !== null && ROLES.indexOf(session.role) >= ROLES.indexOf(need);
}

/** A node's name by its id, as the last event has it. */
export function useNodeName(): (id: number) => string {
  const cluster = useStore(lastCluster);
  return (id) => cluster?.nodes.find((node) => node.id === id)?.name || String(id);
}
