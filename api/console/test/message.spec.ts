// One message: what is in it, its story, why it is not delivered and where one can act, sending it again, trying it with a consumer.
import type { Page } from "@playwright/test";
import { hold, makeDeadLetters, makeGroup, makeTopic, send } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, isAccessible, test } from "./support/fixtures";

async function open(page: Page, cluster: Cluster, id: string, query: string): Promise<void> {
  await page.goto(`${cluster.http()}/console/messages/${id}?${query}`);
  await expect(page.getByRole("region", { name: "Facts" })).toBeVisible();
}

const body = (page: Page) => page.locator("pre.body");
const whyCard = (page: Page) => page.getByRole("region", { name: "Why is it not delivered?" });

test("a body is shown as JSON, text and hex, and with it all that the message has", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  // Numbers that a browser would round, a name twice: shown as they are.
  const json = '{"id":12345678901234567890,"a":[1,{}],"a":"é"}';
  const properties = { region: "eu", "trace-id": "abc/def=" };
  const id = await send(cluster, topic, { body: json, tag: "paid", keys: ["k1", "k2"], properties, message_group: "customer-3" });
  await open(page, cluster, id, `topic=${topic}`);

  await expect(body(page)).toHaveText('{\n  "id": 12345678901234567890,\n  "a": [\n    1,\n    {}\n  ],\n  "a": "é"\n}');
  await page.getByRole("button", { name: "Text", exact: true }).click();
  await expect(body(page)).toHaveText(json);
  await page.getByRole("button", { name: "Hex", exact: true }).click();
  await expect(body(page)).toContainText("00000000  7b 22 69 64 22 3a 31 32  33 34 35 36 37 38 39 30  {\"id\":1234567890");

  const facts = page.getByRole("region", { name: "Facts" });
  for (const text of [id, topic, "paid", "k1", "k2", "customer-3", "queue 0, offset 0", "g1", "47 B"]) await expect(facts).toContainText(text);
  const table = page.getByRole("table", { name: "Properties" });
  for (const [name, value] of Object.entries(properties)) {
    await expect(table.getByRole("row").filter({ hasText: name })).toContainText(value);
  }
  await isAccessible(page);

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  expect(download.suggestedFilename()).toBe(`${id}.bin`);

  // What lies around it is a link away.
  await facts.getByRole("link", { name: "messages around it" }).click();
  await expect(page.getByRole("table", { name: "Results" }).getByRole("link", { name: id })).toBeVisible();
});

test("bytes that are no text are shown in hex", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const binary = await send(cluster, topic, { body: Uint8Array.from([0, 255, 254, 1, 2]) });
  await open(page, cluster, binary, `topic=${topic}`);
  await expect(body(page)).toContainText("00000000  00 ff fe 01 02");
  await expect(page.getByRole("button", { name: "JSON" })).toHaveCount(0);
});

test("its story says who had it, and how that ended", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic);
  await cluster.command("receive", topic, "--group", group);
  await open(page, cluster, id, `topic=${topic}`);
  const story = page.getByRole("region", { name: "Story" });
  const moments = story.getByRole("listitem");
  await expect(moments.locator("strong")).toHaveText(["Sent", "Stored", "Committed", "Leased", "Settled"]);
  await expect(story).toContainText("1 attempt");
  await story.getByRole("link", { name: group }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(group);
});

/** What is said for each reason, and what one finds where the link leads. */
interface Case {
  group: string;
  reason: string;
  title: string;
  link: string;
  there: (page: Page) => Promise<void>;
}

/** As the page says it: its times are those of the browser. */
function spoken(said: { template: string; values: Record<string, string> }): string {
  const shown = (name: string) => {
    const value = said.values[name] ?? "";
    return name.endsWith("_unix_ms") ? new Date(Number(value)).toLocaleString("sv-SE", { timeZone: "Europe/Berlin" }) : value;
  };
  return said.template.replace(/\{(\w+)\}/g, (_gap, name: string) => shown(name));
}

test("why it is not delivered: each reason leads to where one can act", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic);
  const [offline, paused, acknowledged, leased] = await Promise.all([0, 1, 2, 3].map(() => makeGroup(cluster)));
  if (!offline || !paused || !acknowledged || !leased) throw new Error("no groups");
  const dead = await makeDeadLetters(cluster, topic, 1);
  await cluster.api("PATCH", `/groups/${paused}`, { paused: true });
  await cluster.command("receive", topic, "--group", acknowledged);
  const consumer = await hold(cluster, topic, leased, 1);

  const tab = (name: string) => (at: Page) => expect(at.getByRole("tab", { name })).toHaveAttribute("aria-selected", "true");
  const cases: Case[] = [
    { group: leased, reason: "leased", title: "A consumer has it", link: "Clients of the group", there: tab("Clients") },
    { group: offline, reason: "consumer_offline", title: "No consumer is connected", link: "Clients of the group", there: tab("Clients") },
    { group: paused, reason: "group_paused", title: "The consumer group is paused", link: "Resume the group", there: (at) => expect(at.getByRole("button", { name: "Resume" })).toBeVisible() },
    { group: acknowledged, reason: "acknowledged", title: "It was delivered and acknowledged", link: "Reset the group", there: tab("Reset") },
    { group: dead, reason: "dead_lettered", title: "It is a dead letter", link: "Dead letters of the group", there: (at) => expect(at.getByRole("button", { name: `Send again: ${id}` })).toBeVisible() },
  ];
  await open(page, cluster, id, `topic=${topic}`);
  await expect(whyCard(page)).toContainText("No consumer group is chosen.");
  for (const one of cases) {
    await test.step(one.reason, async () => {
      await whyCard(page).getByLabel("Consumer group").fill(one.group);
      await whyCard(page).getByRole("button", { name: "Ask", exact: true }).click();
      await expect(whyCard(page).getByText(one.reason, { exact: true })).toBeVisible();
      await expect(whyCard(page)).toContainText(one.title);
      const { reason, said } = await cluster.api("GET", `/messages/${id}/why?topic=${topic}&group=${one.group}`);
      expect(reason).toBe(one.reason);
      // A lease that is renewed says another time a moment later.
      await expect(whyCard(page)).toContainText(spoken(said).split(", until")[0] ?? "");
      await whyCard(page).getByRole("link", { name: one.link }).click();
      await one.there(page);
      await page.goBack();
      await expect(whyCard(page).getByLabel("Consumer group")).toHaveValue(one.group);
    });
  }
  await isAccessible(page);
  await consumer.crash();
});

test("why: what waits for its time says when, and is recalled there", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic, { delay_ms: 3_600_000 });
  await open(page, cluster, id, `topic=${topic}&group=${group}`);
  await expect(whyCard(page).getByText("not_due", { exact: true })).toBeVisible();
  await expect(whyCard(page)).toContainText(/in 59 min|in 1 hr/);
  await whyCard(page).getByRole("link", { name: "Messages that wait for their time" }).click();
  await expect(page.getByRole("button", { name: `Recall ${id}` })).toBeVisible();
  await page.goBack();

  await page.getByRole("button", { name: "Recall", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Recall" });
  await isAccessible(page);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect((await cluster.api("GET", `/timers?topic=${topic}`)).timers).toHaveLength(1);
  await page.getByRole("button", { name: "Recall", exact: true }).click();
  await dialog.getByRole("button", { name: "Recall", exact: true }).click();
  await expect(page.getByText("It was recalled: nobody will get it.")).toBeVisible();
  await expect(page.getByText(`No message with this id is in topic ${topic}.`)).toBeVisible();
  expect((await cluster.api("GET", `/timers?topic=${topic}`)).timers).toEqual([]);
});

test("why: a group that is not there is said so, and what was typed stays", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic);
  await open(page, cluster, id, `topic=${topic}`);
  await whyCard(page).getByRole("button", { name: "Ask", exact: true }).click();
  await expect(whyCard(page).getByLabel("Consumer group")).toHaveAttribute("aria-invalid", "true");
  await whyCard(page).getByLabel("Consumer group").fill("nowhere");
  await whyCard(page).getByRole("button", { name: "Ask", exact: true }).click();
  await expect(whyCard(page).getByRole("alert").filter({ hasText: "nowhere" })).toContainText("consumer group nowhere does not exist");
  await expect(whyCard(page).getByLabel("Consumer group")).toHaveValue("nowhere");
});

test("sent again it is a new message with the same content", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic, { body: "once more", tag: "red", keys: ["k"], properties: { p: "v" } });
  await open(page, cluster, id, `topic=${topic}`);
  await page.getByRole("button", { name: "Send again" }).click();
  const dialog = page.getByRole("dialog", { name: "Send again" });
  await expect(dialog).toContainText(topic);
  await isAccessible(page);
  await dialog.getByRole("button", { name: "Send again" }).click();
  const link = page.getByRole("status").filter({ hasText: "Sent again as" }).getByRole("link");
  const again = (await link.textContent()) ?? "";
  expect(again).not.toBe(id);
  const { messages } = await cluster.api("GET", `/messages?topic=${topic}&key=k`);
  expect(messages.map((one: any) => one.message_id)).toEqual([id, again]);
  const content = ({ body, tag, keys, properties }: any) => ({ body, tag, keys, properties });
  expect(content(messages[1])).toEqual(content(messages[0]));
  await link.click();
  await expect(page.getByRole("region", { name: "Facts" })).toContainText(again);
});

test("a consumer that went away cannot be asked to try it, and that is said", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic);
  const consumer = await hold(cluster, topic, group, 1);
  await open(page, cluster, id, `topic=${topic}&group=${group}`);
  const verify = page.getByRole("region", { name: "Try it with a consumer" });
  const client = verify.getByLabel("Client");
  await verify.getByRole("button", { name: "Consume it now" }).click();
  await expect(client).toHaveAttribute("aria-invalid", "true");

  const [{ client_id: name }] = (await cluster.api("GET", `/clients?group=${group}`)).clients;
  await client.selectOption(name);
  await consumer.crash();
  const ask = () => cluster.api("POST", `/messages/${id}/verify`, { topic, group, client_id: name }).then(String, String);
  await expect.poll(ask).toContain("is not connected");
  await verify.getByRole("button", { name: "Consume it now" }).click();
  await expect(verify.getByRole("alert")).toContainText(`client ${name} is not connected`);
  await expect(client).toHaveValue(name);
  await isAccessible(page);

  // A group without clients offers none.
  const nobody = await makeGroup(cluster);
  await open(page, cluster, id, `topic=${topic}&group=${nobody}`);
  await expect(verify).toContainText(`No client of ${nobody} is connected.`);
});
