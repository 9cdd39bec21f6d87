// The made-up cluster. Names and bodies are hostile on purpose: nothing of them may become markup.
const start = Date.now() - 40 * 86_400_000;
const loaded = Date.now();
const hostile = `<img src=x onerror="alert(1)">`;
const base64 = (text) => Buffer.from(text).toString("base64");
const TYPES = ["NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY", "LITE", "MIXED"];
const NAMES = ["orders", "payments", "shipments", "audit", "mail", "stock", "prices", "%RETRY%billing", "a-topic-with-a-very-long-name-that-does-not-fit-anywhere-on-a-narrow-screen"];
const many = Number(process.env.TOPICS ?? 0);
const manyClients = Number(process.env.CLIENTS ?? 14);

export function topics() {
  const names = [...NAMES, ...Array.from({ length: many }, (_, i) => `topic-${i}`)];
  return names.map((name, i) => ({
    name, id: i + 1, type: `TOPIC_TYPE_${TYPES[i % TYPES.length]}`, queues: 4 + (i % 5), created_unix_ms: start + i * 3_600_000,
    settings: i % 2 ? { retention_ms: 7 * 86_400_000, max_messages_per_s: 1_000 } : {}, ordered_queues: 4,
    spreading: name === "orders" ? { from: 4, to: 8, begun_unix_ms: Date.now() - 2_000, until_unix_ms: Date.now() + 8_000 } : null,
    spread_steps: 0, spread_given_up: name === "stock" ? "a consumer group was behind" : "",
  }));
}

export function groups() {
  return ["billing", "warehouse", "mailer", "audit-sink", "slow-consumer"].map((name, i) => ({
    name, id: i + 1, fifo: i % 2 === 1, max_attempts: 16, start_from: "START_FROM_FIRST", start_unix_ms: 0, created_unix_ms: start + i * 7_200_000,
    retry: i === 2 ? { levels_ms: [], exponential: { initial_ms: 1_000, max_ms: 600_000, multiplier_percent: 200 } } : { levels_ms: [1_000, 5_000, 10_000, 30_000], exponential: null },
    paused: name === "mailer", in_flight_max: i === 4 ? 100 : 0,
  }));
}

export function groupQueues(name) {
  return Array.from({ length: 4 }, (_, queue) => {
    const lag = name === "slow-consumer" ? 12_000 + queue : queue;
    return { topic: "orders", queue, settled_offset: 50_000 - lag, next_offset: 50_000 - lag + 3, end_offset: 50_000, in_flight: 3, lag, first_offset: 100, begun: true };
  });
}

export function lags(query = new URLSearchParams()) {
  const all = groups().map((g, i) => ({ group: g.name, topic: NAMES[i], messages: [12, 0, 3_400, 7, 1_250_345][i], in_flight: i * 3, ready: i * 100, oldest_unix_ms: i === 1 ? null : Date.now() - i * 95_000 }));
  const wanted = (key, value) => !query.get?.(key) || query.get(key) === value;
  const found = all.filter((l) => wanted("group", l.group) && wanted("topic", l.topic)).sort((a, b) => b.messages - a.messages);
  const add = (key) => found.reduce((n, l) => n + l[key], 0);
  const total = { group: "", topic: "", messages: add("messages"), in_flight: add("in_flight"), ready: add("ready"), oldest_unix_ms: null };
  return { lags: found.slice(0, Number(query.get?.("limit")) || found.length), total };
}

export function clientsOf(query) {
  const kinds = ["producer", "push_consumer", "simple_consumer"];
  const all = Array.from({ length: manyClients }, (_, i) => {
    const group = i % 3 === 0 ? "" : groups()[i % 5].name;
    const topic = NAMES[i % 5];
    return {
      client_id: `worker-${i}@4711@${i}`, language: ["JAVA", "GOLANG", "PYTHON", "RUST"][i % 4], version: "5.0.7", address: `10.0.${i >> 8}.${i % 256}:5${i % 10}321`,
      kind: kinds[i % 3], group, topics: [topic], subscriptions: group ? [{ topic, type: i % 2 ? "tag" : "sql", expression: i % 2 ? "*" : "price > 10" }] : [], nodes: [(i % 3) + 1],
    };
  });
  return all.filter((c) => (!query.get("group") || c.group === query.get("group")) && (!query.get("topic") || c.topics.includes(query.get("topic"))));
}

export function messages() {
  const bodies = [JSON.stringify({ order: 9_007_199_254_740_993n.toString(), note: hostile, lines: [{ sku: "A-1", count: 2 }] }), hostile, "\u0000\u0001binary", "", "订单已创建"];
  return bodies.map((body, i) => ({
    topic: "orders", sent_to: "orders", message_id: `01A2B3C4D5E6F7080900000000000${i}`.padEnd(32, "0"), tag: i % 2 ? "created" : hostile, keys: [`order-${i}`], message_group: i % 2 ? `customer-${i}` : null,
    properties: { trace: `t-${i}`, [hostile]: hostile }, body: base64(body), gzip: false, born_host: "10.0.0.12:51234", born_unix_ms: Date.now() - 61_000 - i * 1_000,
    store_host: "n1", stored_unix_ms: Date.now() - 60_990 - i * 1_000, broker_group: "g1", queue: i, offset: 12_000 + i, due_unix_ms: null, in_transaction: false, given_up: false,
  }));
}

export function deadLetters(query) {
  const first = Number(query.get("cursor") || 0);
  const limit = Math.min(Number(query.get("limit") || 1_000), 1_000);
  const letters = Array.from({ length: Math.max(0, Math.min(limit, 2_500 - first)) }, (_, n) => {
    const i = first + n;
    return { queue: i % 4, offset: i, message_id: `0DEAD${String(i).padStart(27, "0")}`, topic: "orders", topic_queue: i % 4, topic_offset: 1_000 + i, attempts: 16, buried_unix_ms: Date.now() - i * 60_000, resent_offset: null, resent_unix_ms: 0, tag: "created", keys: [`order-${i}`], body: base64(`{"order": ${i}}`) };
  });
  return { letters, cursor: first + letters.length < 2_500 ? String(first + letters.length) : "" };
}

export function timers(query) {
  const limit = Number(query.get("limit") || 100);
  const from = Number(query.get("from_unix_ms") || 0);
  const all = Array.from({ length: 340 }, (_, n) => ({ topic: "mail", message_id: `071E${String(n).padStart(28, "0")}`, born_unix_ms: loaded - 3_600_000, due_unix_ms: loaded + (n + 1) * 17_000, recall_handle: `handle-${n}` }));
  const later = all.filter((t) => t.due_unix_ms >= from);
  return { timers: later.slice(0, limit), total: 340, more: later.length > limit };
}

export function transactions() {
  return Array.from({ length: 6 }, (_, i) => ({ topic: "payments", message_id: `07A${String(i).padStart(29, "0")}`, transaction_id: `tx-${i}`, stored_unix_ms: Date.now() - i * 40_000, checks: i, next_check_unix_ms: i < 4 ? Date.now() + 20_000 : null, given_up_unix_ms: i < 4 ? null : Date.now() - 7_200_000 }));
}

export function users() {
  return [
    { name: "admin", admin: true, enabled: true, created_unix_ms: start, rules: [] },
    { name: "shop", admin: false, enabled: true, created_unix_ms: start, rules: [{ resource: "topic:orders*", actions: ["publish", "get"], sources: ["10.0.0.0/8"], deny: false }, { resource: "group:*", actions: ["subscribe"], sources: [], deny: true }] },
    { name: "old", admin: false, enabled: false, created_unix_ms: start, rules: [] },
  ];
}

export function cluster() {
  const committed = 4_000_000 + Math.floor((Date.now() - start) / 100);
  const nodes = [1, 2, 3].map((id) => ({
    id, name: `n${id}`, grpc: `127.0.0.1:808${id}`, http: `127.0.0.1:809${id - 1}`, peer: `127.0.0.1:909${id}`, pid: 1000 + id, alive: true,
    disk: { total_bytes: 500e9, free_bytes: [310e9, 62e9, 250e9][id - 1], used_percent: [38, 88, 50][id - 1], level: id === 2 ? "warn" : "normal" },
    joining: false, draining: false, version: "0.9.0", clock_ahead_ms: id - 2, clock_doubt_ms: 3, reads_up_to: 7,
  }));
  const group = (name, leader, term) => ({
    name, leader, term, committed, voters: [1, 2, 3], placed: [],
    replicas: [1, 2, 3].map((node) => ({ node, role: node === leader ? "leader" : "follower", last_index: committed, applied_index: committed - 2, durable_index: committed - (node === 3 ? 140 : 0) })),
  });
  return { cluster: "shop-production", nodes, groups: [group("meta", 1, 4), group("g1", 1, 7), group("g2", 2, 3), { ...group("g3", 0, 9), replicas: group("g3", 0, 9).replicas.slice(1).map((r) => ({ ...r, role: r.node === 2 ? "candidate" : "follower" })) }], feature_level: 6, spreading: [{ name: "orders", for_ms: 2_000 }] };
}

export function rates(node, unix_ms) {
  const wave = 1 + 0.4 * Math.sin(unix_ms / 300_000 + node) + 0.1 * Math.sin(unix_ms / 17_000);
  const messages_in_per_s = Math.round(1_200 * wave);
  const messages_out_per_s = Math.round(1_150 * wave * (1 + 0.15 * Math.sin(unix_ms / 90_000)));
  return { unix_ms, messages_in_per_s, bytes_in_per_s: messages_in_per_s * 1_024, messages_out_per_s, bytes_out_per_s: messages_out_per_s * 1_024, failed_per_s: Math.max(0, Math.round(3 * Math.sin(unix_ms / 200_000))) };
}

export function traffic() {
  const now = Math.floor(Date.now() / 10_000) * 10_000;
  return { nodes: [1, 2, 3].map((node) => ({ node, samples: Array.from({ length: 360 }, (_, i) => rates(node, now - (359 - i) * 10_000)).filter((_, i) => i < 120 || i > 140), now: rates(node, Date.now()), sync_p50_us: 840, sync_p99_us: 3_900, clients: 14, connections: 17 })) };
}

export function doctor() {
  return {
    worst: "bad",
    findings: [
      { level: "ok", check: "nodes", place: "cluster", found: "3 of 3 nodes answer", advice: "" },
      { level: "bad", check: "leader", place: "g3", found: "there is no leader", advice: "Two of its three replicas have to be up: look at the nodes that hold it." },
      { level: "warn", check: "disk", place: "n2", found: "88% of the disk are used", advice: "Make room, or shorten the retention of topics. At 90% old messages are removed early." },
      { level: "ok", check: "clocks", place: "cluster", found: "clocks agree within 4 ms", advice: "" },
      { level: "ok", check: "versions", place: "cluster", found: "all nodes run 0.9.0", advice: "" },
    ],
  };
}
