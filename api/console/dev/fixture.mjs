// A made-up cluster that answers as the HTTP API does. What is changed is not kept, except for sessions.
import { clientsOf, cluster, deadLetters, doctor, groupQueues, groups, lags, messages, timers, topics, traffic, transactions, users } from "./data.mjs";

const controlled = process.argv.includes("--login");
const loggedIn = (req) => !controlled || /(?:^|; )dev=1/.test(req.headers.cookie ?? "");
const fail = (status, code, message) => ({ status, body: { error: { code, message } } });
const gone = (what, name) => fail(404, "NOT_FOUND", `there is no ${what} ${name}`);
const session = () => ({
  access_control: controlled,
  user: controlled ? "admin" : "",
  role: "administer",
  expires_unix_ms: controlled ? Date.now() + 3_600_000 : null,
  cluster: "shop-production",
  node: { id: 1, name: "n1" },
  version: "0.9.0",
});

/** [verb, path, answer]; `:x` in a path is a parameter. */
const routes = [
  ["GET", "/topics", () => ({ topics: topics() })],
  ["POST", "/topics", ({ body }) => ({ topic: { ...topics()[0], ...body } })],
  ["GET", "/topics/:name", ({ name }) => describeTopic(name)],
  ["PATCH", "/topics/:name", ({ name, body }) => ({ topic: { ...topics()[0], ...body, name } })],
  ["DELETE", "/topics/:name", () => ({})],
  ["POST", "/topics/:name/spread", ({ name }) => ({ topic: { ...topics()[0], name } })],
  ["POST", "/topics/:name/messages", () => ({ message_id: messages()[0].message_id })],
  ["GET", "/groups", () => ({ groups: groups() })],
  ["POST", "/groups", ({ body }) => ({ group: { ...groups()[0], ...body } })],
  ["GET", "/groups/:name", ({ name }) => describeGroup(name)],
  ["PATCH", "/groups/:name", ({ name, body }) => ({ group: { ...groups()[0], ...body, name } })],
  ["DELETE", "/groups/:name", () => fail(412, "FAILED_PRECONDITION", "the group has connected clients")],
  ["POST", "/groups/:name/reset", ({ name, body }) => reset(name, body)],
  ["GET", "/groups/:name/offsets", ({ name }) => ({ queues: groupQueues(name) })],
  ["GET", "/groups/:name/dead-letters", ({ query }) => deadLetters(query)],
  ["POST", "/groups/:name/dead-letters/resend", ({ body }) => ({ results: body.places.map((p) => ({ kind: "KIND_RESENT", ...p })) })],
  ["GET", "/lags", ({ query }) => lags(query)],
  ["GET", "/clients", ({ query }) => ({ clients: clientsOf(query) })],
  ["GET", "/messages", ({ query }) => findMessages(query)],
  ["GET", "/messages/:id/trace", ({ id }) => traceOf(id)],
  ["GET", "/messages/:id/why", ({ id }) => ({ reason: "leased", sentence: "It is leased by worker-3 until 12:00:30.", message: byId(id), attempt: 2, client: "worker-3", unix_ms: Date.now() + 30_000 })],
  ["POST", "/messages/:id/resend", ({ id }) => ({ message_id: `${id.slice(0, -1)}F` })],
  ["POST", "/messages/:id/verify", () => ({ code: 20_000, message: "consumed in 12 ms" })],
  ["GET", "/timers", ({ query }) => timers(query)],
  ["POST", "/timers/recall", () => ({ message_id: messages()[0].message_id })],
  ["GET", "/transactions", () => ({ transactions: transactions() })],
  ["GET", "/cluster", () => cluster()],
  ["GET", "/traffic", () => traffic()],
  ["GET", "/doctor", () => doctor()],
  ["POST", "/cluster/groups/:group/transfer", () => ({ leader: 2, took_ms: 41 })],
  ["POST", "/cluster/groups/:group/voters", () => ({ done: true, voters: [1, 2, 3], behind: 0 })],
  ["POST", "/cluster/groups/:group/move", () => ({ done: true, behind: 0 })],
  ["POST", "/cluster/groups", () => ({ groups: ["g4"] })],
  ["DELETE", "/cluster/nodes/:node", () => ({ done: true, groups_done: 4, groups: 4 })],
  ["GET", "/cluster/rebalance", () => ({ moves: [{ group: "g2", from: 1, to: 2 }], nodes: [1, 2, 3].map((n) => ({ node: n, name: `n${n}`, before: [2, 0, 1][n - 1], after: 1, placed_before: [2, 0, 1][n - 1], placed_after: 1 })), left: [], replicas: [{ group: "g5", from: 1, to: 2 }] })],
  ["POST", "/cluster/feature-level", () => ({ before: 6, level: 7 })],
  ["GET", "/users", ({ query }) => ({ users: users().filter((u) => !query.get("name") || u.name === query.get("name")) })],
  ["POST", "/users", ({ body }) => ({ user: { ...users()[0], ...body, rules: [] }, secret: body.secret ? "" : "hT5kq0Wz-made-up-secret" })],
  ["PATCH", "/users/:name", ({ name, body }) => ({ user: { ...users()[0], name }, secret: body.new_secret ? "hT5kq0Wz-made-up-secret" : "" })],
  ["DELETE", "/users/:name", () => ({})],
  ["PUT", "/users/:name/rules", () => ({})],
  ["DELETE", "/users/:name/rules", () => ({ deleted: 1 })],
  ["POST", "/users/:name/test", ({ body }) => ({ allowed: body.action === "publish", why: "the rule for topic:orders* allows it", rule: users()[1].rules[0] })],
];

function describeTopic(name) {
  const topic = topics().find((t) => t.name === name);
  if (!topic) return gone("topic", name);
  const queues = Array.from({ length: topic.queues }, (_, q) => ({ queue: q, broker_group: `g${(q % 3) + 1}`, leader_node: (q % 3) + 1, first_offset: 100 * q, next_offset: 100 * q + 12_345 }));
  return { topic, behind_spread: [], queues };
}

function describeGroup(name) {
  const group = groups().find((g) => g.name === name);
  return group ? { group, queues: groupQueues(name), clients: clientsOf(new URLSearchParams({ group: name })) } : gone("consumer group", name);
}

function reset(name, { to, queue, offset }) {
  const place = (q) => (queue !== undefined && queue !== q.queue ? q.settled_offset : (offset ?? { START_FROM_FIRST: q.first_offset, START_FROM_LAST: q.end_offset }[to] ?? q.end_offset - 1_000));
  return { queues: groupQueues(name).map((q) => ({ ...q, settled_offset: place(q), next_offset: place(q), in_flight: 0, lag: q.end_offset - place(q) })) };
}

const byId = (id) => messages().find((m) => m.message_id === id) ?? { ...messages()[0], message_id: id };

function findMessages(query) {
  if (!query.get("topic")) return fail(400, "INVALID_ARGUMENT", "a topic has to be named");
  const id = query.get("id");
  const found = messages().filter((m) => !id || m.message_id === id).map((m) => ({ ...m, topic: query.get("topic") }));
  return { messages: found, continuation: "", cut: false };
}

function traceOf(id) {
  const at = Date.now() - 60_000;
  const event = (ms, what, attempt, until) => ({ unix_ms: at + ms, what, group: "billing", attempt, client: "worker-3", until_unix_ms: until ?? null });
  const events = [event(40, "leased", 1, at + 30_000), event(30_000, "released", 1), event(31_000, "leased", 2, at + 61_000), event(31_400, "settled", 2)];
  return { messages: [{ message: byId(id), term: 7, index: 123_456, leader_node: 1, committed_unix_ms: at + 3, events, events_since_unix_ms: at - 3_600_000 }], cut: false };
}

function find(verb, path) {
  for (const [v, pattern, make] of routes) {
    const names = [];
    const shape = new RegExp(`^${pattern.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"))}$`);
    const got = v === verb && shape.exec(path);
    if (got) return { make, params: Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(got[i + 1])])) };
  }
  return null;
}

/** The answer to a call. */
export function answer(req, url, body) {
  const path = url.pathname.replace("/api/v1", "");
  if (req.method !== "GET" && req.headers["x-ledgermq-console"] !== "1") return fail(403, "PERMISSION_DENIED", "the header x-ledgermq-console is missing");
  if (path === "/session") return sessionCall(req, body);
  if (!loggedIn(req)) return fail(401, "UNAUTHENTICATED", "nobody is logged in");
  const found = find(req.method, path);
  if (!found) return fail(404, "NOT_FOUND", `there is no ${req.method} ${path}`);
  const made = found.make({ ...found.params, query: url.searchParams, body });
  return made.status ? made : { body: made };
}

function sessionCall(req, body) {
  const cookie = (age) => ({ "set-cookie": `dev=1; HttpOnly; SameSite=Strict; Path=/; Max-Age=${age}` });
  if (req.method === "DELETE") return { headers: cookie(0), body: {} };
  if (req.method === "POST") {
    const right = body.user === "admin" && body.secret === "admin";
    return right ? { headers: cookie(3_600), body: session() } : fail(401, "UNAUTHENTICATED", "There is no such user with this secret.");
  }
  return loggedIn(req) ? { body: session() } : fail(401, "UNAUTHENTICATED", "nobody is logged in");
}

/** The stream of events. */
export function stream(req, res) {
  if (!loggedIn(req)) return void res.writeHead(401).end();
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const send = (name, data) => res.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  const now = () => ({ nodes: traffic().nodes.map((node) => ({ ...node, samples: [] })) });
  const all = [["cluster", 2_000, cluster], ["traffic", 2_000, now], ["lags", 5_000, lags], ["doctor", 10_000, doctor]];
  const timers = all.map(([name, every, make]) => (send(name, make()), setInterval(() => send(name, make()), every)));
  res.on("close", () => timers.forEach(clearInterval));
}
