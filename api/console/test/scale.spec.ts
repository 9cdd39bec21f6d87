// Many topics and many clients: lists open, filter and sort at once, and only what is seen is in the page.
import type { Page } from "@playwright/test";
import { Cluster } from "./support/cluster";
import { expect, test as base } from "./support/fixtures";
import { ClientConnection } from "./support/grpc-client";

const TOPICS = 10_000;
const CLIENTS = 1_000;
const CONNECTIONS = 4;
/** So many rows a page of a table has. */
const PAGE = 50;
/** On a quiet machine; others work on this one at the same time. */
const SOON_MS = 2_000 * Number(process.env["LEDGERMQ_SLOW"] ?? 3);

const test = base.extend<object, { full: Cluster }>({
  full: [
    async ({}, use) => {
      const cluster = await Cluster.start(3);
      const began = Date.now();
      await each(TOPICS, 64, (at) => cluster.api("POST", "/topics", { name: topicName(at), queues: 1 + (at % 3) }));
      console.log(`${TOPICS} topics in ${((Date.now() - began) / 1_000).toFixed(0)} s`);
      await use(cluster);
      await cluster.stop();
    },
    { scope: "worker", timeout: 300_000 },
  ],
});

const topicName = (at: number) => `topic-${at}`;

/** Does something so many times, some at once. */
async function each(count: number, atOnce: number, act: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) await act(at);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Does something, waits for what is seen of it, and says how long that took. */
async function soon(what: string, act: () => Promise<unknown>, seen: () => Promise<unknown>): Promise<void> {
  const began = Date.now();
  await act();
  await seen();
  const took = Date.now() - began;
  console.log(`${what}: ${took} ms`);
  expect(took, what).toBeLessThan(SOON_MS);
}

function elements(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelectorAll("*").length);
}

test("ten thousand topics are listed, filtered and sorted", async ({ page, full }) => {
  test.setTimeout(180_000);
  const table = page.getByRole("table", { name: "Topics" });
  const first = table.getByRole("rowheader").first();
  await soon("the list opens", () => page.goto(`${full.http()}/console/topics`), () => expect(first).toHaveText("topic-0"));
  await expect(page.getByText("10,000 rows")).toBeVisible();
  await expect(table.getByRole("rowheader")).toHaveCount(PAGE);
  expect(await elements(page), "elements in the page").toBeLessThan(2_500);
  await soon("it is filtered", () => page.getByRole("searchbox").fill("topic-99"), () => expect(page.getByText("111 of 10,000 rows")).toBeVisible());
  await expect(first).toHaveText("topic-99");
  await soon("the filter is cleared", () => page.getByRole("searchbox").fill(""), () => expect(page.getByText("10,000 rows", { exact: true })).toBeVisible());
  const sort = table.getByRole("columnheader", { name: "Name" }).getByRole("button");
  await soon("it is sorted downwards", () => sort.click(), () => expect(first).toHaveText("topic-9999"));
  const queues = table.getByRole("columnheader", { name: "Queues" }).getByRole("button");
  await soon("it is sorted by queues", () => queues.click(), () => expect(table.getByRole("row").nth(1).getByRole("cell").nth(1)).toHaveText("3"));
  const next = page.getByRole("button", { name: "Next" });
  await soon("the next page is shown", () => next.click(), () => expect(page.getByText("Page 2 of 200")).toBeVisible());
  await expect(table.getByRole("rowheader")).toHaveCount(PAGE);
  // All of it is in the address.
  const shown = await first.innerText();
  await page.reload();
  await expect(page.getByText("Page 2 of 200")).toBeVisible();
  await expect(first).toHaveText(shown);
});

test("a topic is found among ten thousand where its name is asked for", async ({ page, full }) => {
  await page.goto(`${full.http()}/console/messages`);
  const topic = page.getByRole("combobox", { name: "Topic" });
  await topic.fill("topic-1234");
  await expect(page.locator("datalist option").first()).toHaveAttribute("value", "topic-1234");
  expect(await page.locator("datalist option").count(), "names that are offered").toBeLessThanOrEqual(50);
});

test("a thousand clients are listed, filtered and sorted", async ({ page, full }) => {
  test.setTimeout(180_000);
  await full.api("POST", "/groups", { name: "crowd" });
  const connections: ClientConnection[] = [];
  try {
    for (let at = 0; at < CONNECTIONS; at++) connections.push(await ClientConnection.open(full.grpc((at % full.size) + 1)));
    await each(CLIENTS, 32, async (at) => {
      const name = `client-${at}`;
      // One of them does not agree with the others.
      const expression = at === 777 ? "paid" : "*";
      await connections[at % CONNECTIONS]?.add({ id: name, kind: "push_consumer", group: "crowd", topics: [{ name: topicName(0), expression }] });
    });
    const table = page.getByRole("table", { name: "Clients" });
    const first = table.getByRole("rowheader").first();
    await soon("the clients open", () => page.goto(`${full.http()}/console/groups/crowd?tab=clients`), () => expect(first).toHaveText("client-0"));
    await expect(page.getByText("1,000 rows")).toBeVisible();
    await expect(table.getByRole("rowheader")).toHaveCount(PAGE);
    expect(await elements(page), "elements in the page").toBeLessThan(2_500);
    const factions = page.getByRole("table", { name: "Who subscribes to what" }).getByRole("row");
    await expect(factions.nth(1)).toContainText("999");
    await expect(factions.nth(2)).toContainText("client-777");
    await soon("they are filtered", () => page.getByRole("searchbox").fill("client-77"), () => expect(page.getByText("11 of 1,000 rows")).toBeVisible());
    await soon("the filter is cleared", () => page.getByRole("searchbox").fill(""), () => expect(page.getByText("1,000 rows", { exact: true })).toBeVisible());
    const sort = table.getByRole("columnheader", { name: "Client" }).getByRole("button");
    await soon("they are sorted downwards", () => sort.click(), () => expect(first).toHaveText("client-999"));

    await soon("the topic's clients open", () => page.goto(`${full.http()}/console/topics/${topicName(0)}?tab=clients`), () =>
      expect(page.getByText("1,000 rows")).toBeVisible());
    await soon("the groups open", () => page.goto(`${full.http()}/console/groups`), () =>
      expect(page.getByRole("table", { name: "Consumer groups" }).getByRole("row").filter({ hasText: "crowd" })).toContainText("1,000"));
  } finally {
    for (const connection of connections) await connection.close();
  }
});
