const SESSION = "/api/v1/session";

const page = globalThis as typeof globalThis & { ledgermqBegun?: Promise<Response> | undefined };

/** Asks who is logged in while the bundle is on its way. */
export function begin(): void {
  page.ledgermqBegun = fetch(SESSION, { headers: { accept: "application/json" }, credentials: "same-origin", cache: "no-store" });
  // Whoever takes it sees the error; until then nobody does.
  page.ledgermqBegun.catch(() => {});
}

/** The answer that is on its way, for the first who wants it. */
export function takeBegun(): Promise<Response> | undefined {
  const begun = page.ledgermqBegun;
  page.ledgermqBegun = undefined;
  return begun;
}
