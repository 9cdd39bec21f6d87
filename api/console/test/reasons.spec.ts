// Why a message is not delivered: states that a message comes into by what the cluster and its clients do, each with what is said of it
// and where one can act.
import type { Page } from "@playwright/test";
import { hold, makeGroup, makeTopic, send } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { row } from "./support/forms";
import { ClientConnection, type ClientSettings } from "./support/grpc-client";

const whyCard = (page: Page) => page.getByRole("region", { name: "Why is it not delivered?" });
const tab = (page: Page, name: string) => expect(page.getByRole("tab", { name })).toHaveAttribute("aria-selected", "true");
const heading = (page: Page, name: string) => expect(page.getByRole("heading", { level: 1 })).toHaveText(name);

interface Case {
  topic: string;
  group: string;
  id: string;
  reason: string;
  title: string;
  /** What the node says. */
  says: string | RegExp;
  /** Where one can act. */
  link: string;
}

/** Asks on the page of the message, and goes where it leads. */
async function expectReason(page: Page, cluster: Cluster, of: Case): Promise<void> {
  await page.goto(`${cluster.http()}/console/messages/${of.id}?topic=${of.topic}&group=${of.group}`);
  await expect(whyCard(page).getByText(of.reason, { exact: true })).toBeVisible();
  await expect(whyCard(page).getByRole("heading", { name: of.title })).toBeVisible();
  await expect(whyCard(page)).toContainText(of.says);
  await whyCard(page).getByRole("link", { name: of.link, exact: true }).click();
}

/** Does something while a client of a group is connected that never asks for messages. */
async function whileConnected(cluster: Cluster, group: string, topics: ClientSettings["topics"], act: () => Promise<void>): Promise<void> {
  const clients = await ClientConnection.open(cluster.grpc());
  try {
    await clients.add({ id: `${group}-silent`, kind: "push_consumer", group, topics });
    await act();
  } finally {
    await clients.close();
  }
}

test("before_start: the group was made later, and begins behind it", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic);
  const group = await makeGroup(cluster, { start_from: "START_FROM_LAST" });
  const says = `${group} begins behind the last message, and was made after this one was stored.`;
  await expectReason(page, cluster, { topic, group, id, reason: "before_start", title: "It is older than where the group began", says, link: "Reset the group" });
  await tab(page, "Reset");
});

test("expired: its time to live is over", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { settings: { ttl_ms: 1 } });
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic);
  const says = `Messages of ${topic} live 1 ms, and this one's time was over at `;
  await expectReason(page, cluster, { topic, group, id, reason: "expired", title: "Its time to live is over", says, link: "Settings of the topic" });
  await heading(page, topic);
});

test("passed_over: the group was moved over it", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic);
  await cluster.api("POST", `/groups/${group}/reset`, { topic, to: "START_FROM_LAST" });
  const says = `${group} is past it: it was never leased, so the filter at that time left it out, or the group was moved over it.`;
  await expectReason(page, cluster, { topic, group, id, reason: "passed_over", title: "The group is past it", says, link: "Reset the group" });
  await tab(page, "Reset");
});

test("ready: a client is connected and does not ask", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  await send(cluster, topic);
  const id = await send(cluster, topic);
  await whileConnected(cluster, group, [{ name: topic }], async () => {
    const says = "It is ready: the next receive gets it. Messages of its queue before it: 1.";
    await expectReason(page, cluster, { topic, group, id, reason: "ready", title: "It is ready", says, link: "Clients of the group" });
    await expect(row(page, "Clients", `${group}-silent`)).toHaveCount(1);
  });
});

test("not_subscribed: clients are connected, and none of them reads the lite topic", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_LITE" });
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic, { lite_topic: "kitchen" });
  await whileConnected(cluster, group, [{ name: topic }], async () => {
    const says = `No client of ${group} is known to subscribe to the lite topic kitchen.`;
    const link = "Clients and their subscriptions";
    await expectReason(page, cluster, { topic, group, id, reason: "not_subscribed", title: "Nobody subscribes to it", says, link });
    await expect(row(page, "Clients", `${group}-silent`)).toHaveCount(1);
  });
});

test("in_flight_limit: as much is in flight as may be", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster, { in_flight_max: 1 });
  await send(cluster, topic);
  const id = await send(cluster, topic);
  const consumer = await hold(cluster, topic, group, 1, "2m");
  const says = `${group} gets no fresh ones until it settles some: in flight are 1, and of this queue 1 are unsettled.`;
  await expectReason(page, cluster, { topic, group, id, reason: "in_flight_limit", title: "Too much is in flight", says, link: "Limits of the group" });
  await heading(page, group);
  await consumer.crash();
});

test("behind_predecessor: the message before it is not done, and is a link away", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_FIFO" });
  const group = await makeGroup(cluster, { fifo: true });
  const first = await send(cluster, topic, { message_group: "customer-3" });
  const consumer = await hold(cluster, topic, group, 1, "2m");
  const id = await send(cluster, topic, { message_group: "customer-3" });
  const says = `It waits for an earlier message of its message group or lite topic: queue 0, offset 0, id ${first}.`;
  const link = "The message before it";
  await expectReason(page, cluster, { topic, group, id, reason: "behind_predecessor", title: "An earlier message is not done", says, link });
  await expect(page.getByRole("region", { name: "Facts" })).toContainText(first);
  // The same is asked of it.
  await expect(whyCard(page).getByText("leased", { exact: true })).toBeVisible();
  await consumer.crash();
});

test("behind_spread: what was sent before message groups were spread has to be settled first", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_FIFO" });
  const group = await makeGroup(cluster, { fifo: true });
  await send(cluster, topic, { message_group: "before" });
  await cluster.command("receive", topic, "--group", group, "--no-ack");
  await cluster.api("PATCH", `/topics/${topic}`, { queues: 8 });
  await cluster.api("POST", `/topics/${topic}/spread`, { within_ms: 60_000 });
  await expect.poll(async () => (await cluster.api("GET", `/topics/${topic}`)).topic.ordered_queues).toBe(8);
  await whileConnected(cluster, group, [{ name: topic }], async () => {
    // One of these is in a queue that has message groups only now.
    let id = "";
    for (let number = 0; number < 8; number++) await send(cluster, topic, { message_group: `after-${number}`, keys: ["after"] });
    const { messages } = await cluster.api("GET", `/messages?topic=${topic}&key=after`);
    for (const message of messages) if (message.queue > 0) id = message.message_id;
    const says = `It waits until ${group} has settled what was sent before message groups were spread over more queues`;
    await expectReason(page, cluster, { topic, group, id, reason: "behind_spread", title: "It waits for the spreading of its topic", says, link: "Topic" });
    await heading(page, topic);
    const card = page.getByRole("region", { name: "Message groups" });
    await expect(card).toContainText("Consumer groups still behind the last spread");
    await expect(card.getByRole("listitem")).toHaveText([`${group}: 1 message at most`]);
  });
});

test("in_transaction: its producer has not said how it ended", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_TRANSACTION" });
  const group = await makeGroup(cluster);
  const { message_id: id } = await cluster.command("send", topic, "--body", "half", "--transaction", "leave-open");
  const says = /Its transaction has not ended\. Its producer was asked \d+ times, and is asked next at /;
  await expectReason(page, cluster, { topic, group, id, reason: "in_transaction", title: "Its transaction is open", says, link: "Open transactions" });
  await expect(row(page, "Open", id)).toContainText(topic);
});
