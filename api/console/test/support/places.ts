// Where one can be in the console, and something to see there.
import type { Cluster } from "./cluster";

/** Something of everything, so that pages have something to show. */
export async function seed(cluster: Cluster): Promise<string> {
  await cluster.api("POST", "/topics", { name: "orders", queues: 4, if_not_exists: true });
  await cluster.api("POST", "/topics", { name: "reminders", type: "TOPIC_TYPE_DELAY", queues: 2, if_not_exists: true });
  await cluster.api("POST", "/groups", { name: "billing", max_attempts: 1, start_from: "START_FROM_FIRST", if_not_exists: true });
  let id = "";
  for (let number = 0; number < 5; number++) {
    const body = Buffer.from(JSON.stringify({ order: number, state: "paid" })).toString("base64");
    const sent = await cluster.api("POST", "/topics/orders/messages", { body, tag: "paid", keys: [`order-${number}`] });
    id = sent.message_id;
  }
  await cluster.api("POST", "/topics/reminders/messages", { body: "eA==", delay_ms: 3_600_000 });
  await cluster.command("receive", "orders", "--group", "billing", "--max", "1", "--invisible", "10s").catch(() => null);
  return id;
}

/** Pages by a name of their own. `id`: of a message, as `seed` answers it. */
export function places(id: string): [string, string][] {
  return [
    ["cluster", "cluster"],
    ["group-of-replicas", "cluster/groups/g1"],
    ["topics", "topics"],
    ["topic", "topics/orders"],
    ["topic-queues", "topics/orders?tab=queues"],
    ["groups", "groups"],
    ["group", "groups/billing"],
    ["messages", "messages?topic=orders&by=key&key=order-1"],
    ["message", `messages/${id}?topic=orders&group=billing`],
    ["dead-letters", "dead-letters"],
    ["dead-letters-of-a-group", "dead-letters/billing"],
    ["timers", "timers"],
    ["transactions", "transactions"],
    ["access", "access"],
    ["doctor", "doctor"],
    ["login", "login"],
    ["overview", ""],
  ];
}
