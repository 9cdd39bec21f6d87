// What waits: messages for their time, which can be recalled, and transactions for their end.
import type { Page } from "@playwright/test";
import { makeTopic, send } from "./support/broker";
import { Cluster } from "./support/cluster";
import { expect, isAccessible, test } from "./support/fixtures";

const HOUR_MS = 3_600_000;
const rows = (page: Page, name: string) => page.getByRole("table", { name }).locator("tbody").getByRole("row");
const timers = (page: Page) => rows(page, "Timers");

/** The ids of what waits in a topic. */
async function waiting(cluster: Cluster, topic: string): Promise<string[]> {
  return (await cluster.api("GET", `/timers?topic=${topic}`)).timers.map((timer: any) => timer.message_id);
}

test("timers are listed by when they are due, and recalled: one, and some", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  const ids: string[] = [];
  for (const hours of [4, 1, 3, 2]) ids.push(await send(cluster, topic, { delay_ms: hours * HOUR_MS }));
  const [fourth, first, third, second] = ids as [string, string, string, string];

  await page.goto(`${cluster.http()}/console/timers`);
  // It is among all of them, too.
  await expect(timers(page).filter({ hasText: first })).toHaveCount(1);
  await page.getByLabel("Topic", { exact: true }).fill(topic);
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`topic=${topic}`));
  await expect(timers(page)).toHaveCount(4);
  await expect(timers(page).getByRole("link", { name: /^[0-9A-F]{34}$/ })).toHaveText([first, second, third, fourth]);
  await expect(timers(page).first()).toContainText(/in 59 min|in 1 hr/);
  await isAccessible(page);

  await test.step("one", async () => {
    await page.getByRole("button", { name: `Recall ${second}` }).click();
    const dialog = page.getByRole("dialog", { name: "Recall 1 message" });
    await expect(dialog).toContainText(second);
    await isAccessible(page);
    await page.keyboard.press("Escape");
    await expect(dialog).toHaveCount(0);
    // The focus is back where it came from.
    await expect(page.getByRole("button", { name: `Recall ${second}` })).toBeFocused();
    expect(await waiting(cluster, topic)).toHaveLength(4);
    await page.keyboard.press("Enter");
    await dialog.getByRole("button", { name: "Recall", exact: true }).click();
    await expect(timers(page)).toHaveCount(3);
    await expect(page.getByText("Recalled: 1 message.")).toBeVisible();
    expect(await waiting(cluster, topic)).toEqual([first, third, fourth]);
  });

  await test.step("a selection", async () => {
    const none = page.getByRole("button", { name: "Recall selected" });
    await expect(none).toHaveAttribute("title", "Select messages in the table first.");
    // It can be reached, and does nothing.
    await none.click({ force: true });
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await timers(page).filter({ hasText: first }).getByRole("checkbox").check();
    await timers(page).filter({ hasText: fourth }).getByRole("checkbox").check();
    await page.getByRole("button", { name: "Recall 2", exact: true }).click();
    await page.getByRole("dialog", { name: "Recall 2 messages" }).getByRole("button", { name: "Recall", exact: true }).click();
    await expect(timers(page)).toHaveCount(1);
    expect(await waiting(cluster, topic)).toEqual([third]);
  });
});

test("one whose time came meanwhile is not recalled, and that is said", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  await page.goto(`${cluster.http()}/console/timers?topic=${topic}`);
  await expect(page.getByText("No message waits for its time.")).toBeVisible();
  const id = await send(cluster, topic, { delay_ms: 5_000 });
  await page.getByRole("button", { name: "Load again" }).click();
  await page.getByRole("button", { name: `Recall ${id}` }).click();
  const delivered = async () => (await cluster.api("GET", `/topics/${topic}`)).queues[0].next_offset;
  await expect.poll(delivered).toBe(1);
  await page.getByRole("dialog").getByRole("button", { name: "Recall", exact: true }).click();
  await expect(page.getByText("the message cannot be recalled: it is not waiting for its time (any more)")).toBeVisible();
  // What is shown is what there is.
  await expect(page.getByText("No message waits for its time.")).toBeVisible();
  await expect(page.getByText("Recalled: 1 message.")).toHaveCount(0);
});

test("timers go on page by page, and from a time on", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  const ids: string[] = [];
  for (let number = 0; number < 105; number++) ids.push(await send(cluster, topic, { delay_ms: HOUR_MS + number * 1_000 }));
  await page.goto(`${cluster.http()}/console/timers?topic=${topic}`);
  await expect(timers(page)).toHaveCount(100);
  await page.getByRole("button", { name: "Next page" }).click();
  await expect(timers(page).filter({ hasText: ids[104] ?? "" })).toHaveCount(1);
  await expect(timers(page).filter({ hasText: ids[0] ?? "" })).toHaveCount(0);
  await expect(page).toHaveURL(/from=\d+/);
  await expect(page.getByRole("button", { name: "Next page" })).toHaveAttribute("aria-disabled", "true");
  await page.getByRole("button", { name: "First page" }).click();
  await expect(timers(page)).toHaveCount(100);

  await page.goto(`${cluster.http()}/console/timers?topic=${topic}&from=${Date.now() + 24 * HOUR_MS}`);
  await expect(page.getByText("Nothing is due from this time on.")).toBeVisible();
});

test("a transaction that is open is listed until it ends", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_TRANSACTION" });
  const sent = await cluster.command("send", topic, "--body", "half", "--transaction", "leave-open");
  const other = await cluster.command("send", topic, "--body", "other", "--transaction", "leave-open");
  await page.goto(`${cluster.http()}/console/transactions`);
  const open = rows(page, "Open");
  const row = open.filter({ hasText: sent.message_id });
  await expect(row).toContainText(topic);
  await expect(page.getByText("ledgermq transaction commit")).toBeVisible();
  await page.getByRole("searchbox").fill(topic);
  await expect(open).toHaveCount(2);
  await isAccessible(page);

  // Why nobody gets it, and back.
  await row.getByRole("link", { name: sent.message_id }).click();
  await expect(page.getByRole("region", { name: "Facts" })).toContainText("in a transaction that is open");
  await page.goBack();

  const { transactions } = await cluster.api("GET", "/transactions");
  expect(transactions.filter((one: any) => one.topic === topic)).toHaveLength(2);
  const handle = transactions.find((one: any) => one.message_id === sent.message_id).transaction_id;
  await cluster.command("transaction", "commit", topic, handle, "--id", sent.message_id, "--yes");
  await page.getByRole("button", { name: "Load again" }).click();
  await expect(row).toHaveCount(0);
  await expect(open.filter({ hasText: other.message_id })).toHaveCount(1);
  await page.getByRole("tab", { name: "Given up" }).click();
  await expect(page).toHaveURL(/tab=given-up/);
});

test("a transaction that nobody ended is given up, and kept to be looked at", async ({ page }) => {
  // Elsewhere that takes days.
  const settings = { LEDGERMQ_TRANSACTIONS__CHECK_AFTER_MS: "1000", LEDGERMQ_TRANSACTIONS__OPEN_MAX_HOURS: "0" };
  const cluster = await Cluster.start(1, { settings });
  try {
    const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_TRANSACTION" });
    const sent = await cluster.command("send", topic, "--body", "orphan", "--transaction", "leave-open");
    const givenUp = async () => (await cluster.api("GET", "/transactions")).transactions.some((one: any) => one.given_up_unix_ms);
    await expect.poll(givenUp).toBe(true);
    await page.goto(`${cluster.http()}/console/transactions`);
    await expect(page.getByText("No transaction is open.")).toBeVisible();
    await page.getByRole("tab", { name: "Given up" }).click();
    const row = rows(page, "Given up").filter({ hasText: sent.message_id });
    await expect(row).toContainText(topic);
    await isAccessible(page);

    await row.getByRole("link", { name: sent.message_id }).click();
    await expect(page.getByRole("region", { name: "Facts" })).toContainText("its transaction was given up");
    await expect(page.locator("pre.body")).toHaveText("orphan");
    await cluster.api("POST", "/groups", { name: "readers", start_from: "START_FROM_FIRST" });
    await page.goto(`${page.url()}&group=readers`);
    const why = page.getByRole("region", { name: "Why is it not delivered?" });
    await expect(why.getByText("transaction_given_up", { exact: true })).toBeVisible();
    await why.getByRole("link", { name: "Transactions that were given up" }).click();
    await expect(row).toBeVisible();
  } finally {
    await cluster.stop();
  }
});
