// Dead letters, made by a consumer that fails: found, looked at, and sent again, one, some and all.
import type { Page } from "@playwright/test";
import { deadLetters, makeDeadLetters, makeGroup, makeTopic, send } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, isAccessible, test } from "./support/fixtures";

const table = (page: Page) => page.getByRole("table", { name: "Dead letters" });
const rows = (page: Page) => table(page).locator("tbody").getByRole("row");
const row = (page: Page, id: string) => rows(page).filter({ hasText: id });
const outcome = (page: Page) => page.locator("p.outcome");

async function open(page: Page, cluster: Cluster, group: string, query = ""): Promise<void> {
  await page.goto(`${cluster.http()}/console/dead-letters/${group}${query}`);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Dead letters of ${group}`);
}

interface Letters {
  topic: string;
  group: string;
  ids: string[];
}

/** So many dead letters, with bodies letter 0, letter 1, ... */
async function make(cluster: Cluster, count: number): Promise<Letters> {
  const topic = await makeTopic(cluster);
  const ids: string[] = [];
  for (let number = 0; number < count; number++) ids.push(await send(cluster, topic, { body: `letter ${number}`, tag: "red", keys: [`k${number}`] }));
  return { topic, group: await makeDeadLetters(cluster, topic, count), ids };
}

/** The ids that were sent again, as the node has it. */
async function resent(cluster: Cluster, group: string): Promise<string[]> {
  const letters = await deadLetters(cluster, group);
  return letters.filter((letter) => letter.resent_unix_ms > 0).map((letter) => letter.message_id).sort();
}

test("dead letters are listed by group, looked at, and sent again: one, some, and the rest", async ({ page, cluster }) => {
  const { topic, group, ids } = await make(cluster, 5);
  const [one, two, three] = ids as [string, string, string];

  await page.goto(`${cluster.http()}/console/dead-letters`);
  const listed = page.getByRole("table", { name: "Consumer groups" }).getByRole("row").filter({ hasText: group });
  await expect(listed).toContainText("5");
  await listed.getByRole("link", { name: group, exact: true }).click();
  await expect(rows(page)).toHaveCount(5);
  await expect(row(page, one)).toContainText("letter 0");
  await expect(row(page, one)).toContainText("k0");
  await expect(row(page, one)).toContainText(`${topic} 0 / 0`);
  await isAccessible(page);

  await test.step("one", async () => {
    await row(page, one).getByRole("button", { name: `Body of ${one}` }).click();
    await expect(page.getByRole("dialog").locator("pre.body")).toHaveText("letter 0");
    await isAccessible(page);
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await row(page, one).getByRole("button", { name: `Send again: ${one}` }).click();
    const dialog = page.getByRole("dialog", { name: "Send 1 dead letter again" });
    await isAccessible(page);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    expect(await resent(cluster, group)).toEqual([]);
    await row(page, one).getByRole("button", { name: `Send again: ${one}` }).click();
    await dialog.getByRole("button", { name: "Send again" }).click();
    await expect(outcome(page)).toHaveText("1 sent again");
    await expect(rows(page)).toHaveCount(4);
    expect(await resent(cluster, group)).toEqual([one]);
  });

  await test.step("a selection", async () => {
    const selected = page.getByRole("button", { name: "Send selected again" });
    await expect(selected).toHaveAttribute("aria-disabled", "true");
    await expect(selected).toHaveAttribute("title", "Select messages in the table first.");
    await row(page, two).getByRole("checkbox").check();
    await row(page, three).getByRole("checkbox").check();
    await page.getByRole("button", { name: "Send 2 again" }).click();
    await page.getByRole("dialog", { name: "Send 2 dead letters again" }).getByRole("button", { name: "Send again" }).click();
    await expect(outcome(page)).toHaveText("2 sent again");
    await expect(rows(page)).toHaveCount(2);
    expect(await resent(cluster, group)).toEqual([one, two, three].sort());
  });

  await test.step("all: only once the group's name is typed", async () => {
    await page.getByRole("button", { name: "Send all again" }).click();
    const dialog = page.getByRole("dialog", { name: `Send all dead letters of ${group} again` });
    const typed = dialog.getByLabel(`Type ${group} to confirm`);
    await typed.fill(group.slice(0, -1));
    await dialog.getByRole("button", { name: "Send all again" }).click();
    await expect(dialog).toContainText("That is not the name.");
    await expect(typed).toBeFocused();
    await isAccessible(page);
    expect(await resent(cluster, group)).toHaveLength(3);
    await typed.fill(group);
    await dialog.getByRole("button", { name: "Send all again" }).click();
    await expect(outcome(page)).toHaveText("2 sent again");
    await expect(page.getByText("Done.")).toBeVisible();
    await expect(page.getByText("There are no dead letters.")).toBeVisible();
    expect(await resent(cluster, group)).toEqual([...ids].sort());
  });

  // They are back in their topic, behind what was there.
  const { queues } = await cluster.api("GET", `/topics/${topic}`);
  expect(queues[0].next_offset).toBe(10);

  await test.step("those that were sent again stay to be seen, and are not sent twice by mistake", async () => {
    await page.getByLabel("Show those too that were sent again").check();
    await expect(rows(page)).toHaveCount(5);
    await expect(table(page).getByText("sent again", { exact: true })).toHaveCount(5);
    await row(page, one).getByRole("button", { name: `Send again: ${one}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
    await expect(outcome(page)).toHaveText("1 were sent again before");
    expect((await cluster.api("GET", `/topics/${topic}`)).queues[0].next_offset).toBe(10);
  });

  await test.step("a dead letter's own page", async () => {
    await row(page, two).getByRole("link", { name: two }).click();
    await expect(page.getByRole("region", { name: "Facts" })).toContainText("a dead letter");
    await expect(page.getByRole("region", { name: "Facts" })).toContainText(topic);
  });
});

test("they are filtered by when they were given up, and the address keeps it", async ({ page, cluster }) => {
  const { group, ids } = await make(cluster, 2);
  const [{ buried_unix_ms: buried }] = await deadLetters(cluster, group);
  await open(page, cluster, group, `?from=${buried + 60_000}`);
  await expect(page.getByText("There are no dead letters.")).toBeVisible();
  await expect(page.getByLabel("Given up from")).not.toHaveValue("");
  await page.getByRole("button", { name: "Clear the times" }).click();
  await expect(rows(page)).toHaveCount(ids.length);
  await expect(page).not.toHaveURL(/from=/);

  await page.getByRole("button", { name: "Last 5 min" }).click();
  await expect(page).toHaveURL(/from=\d+&to=\d+/);
  await expect(rows(page)).toHaveCount(ids.length);

  await page.getByLabel("Given up before").fill("2020-01-01T00:00");
  await expect(page.getByText("This does not lie after the other time.")).toBeVisible();

  // All of the times chosen: none of them.
  await open(page, cluster, group, `?to=${buried - 60_000}`);
  await page.getByRole("button", { name: "Send all again" }).click();
  await expect(page.getByRole("dialog")).toContainText("All dead letters of the times chosen");
  await page.getByLabel(`Type ${group} to confirm`).fill(group);
  await page.getByRole("dialog").getByRole("button", { name: "Send all again" }).click();
  await expect(page.getByText("Done.")).toBeVisible();
  expect(await resent(cluster, group)).toEqual([]);
});

test("more than a page of them: the next page, a whole page at once, and all with progress", async ({ page, cluster }) => {
  const { group, ids } = await make(cluster, 60);
  await open(page, cluster, group);
  await expect(rows(page)).toHaveCount(50);
  await page.getByRole("button", { name: "Next page" }).click();
  await expect(rows(page)).toHaveCount(10);
  await page.getByLabel("Select all rows that match").check();
  await page.getByRole("button", { name: "Send 10 again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await expect(outcome(page)).toHaveText("10 sent again");
  // What follows first is held back, so that the progress can be seen and stopped.
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  await page.route("**/dead-letters/resend", async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole("button", { name: "Send all again" }).click();
  await page.getByLabel(`Type ${group} to confirm`).fill(group);
  await page.getByRole("dialog").getByRole("button", { name: "Send all again" }).click();
  await expect(page.getByRole("progressbar", { name: "Sending again" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  const all = page.getByRole("button", { name: "Send all again" });
  await expect(all).toHaveAttribute("aria-disabled", "true");
  await isAccessible(page);
  go();
  await expect(outcome(page)).toHaveText("50 sent again");
  await expect(page.getByRole("progressbar", { name: "Sending again" })).toHaveCount(0);
  expect(await resent(cluster, group)).toEqual([...ids].sort());
});

test("what came from a topic that is gone cannot go back, and a group without any says so", async ({ page, cluster }) => {
  const { topic, group, ids } = await make(cluster, 1);
  await open(page, cluster, group);
  await expect(rows(page)).toHaveCount(1);
  await cluster.api("DELETE", `/topics/${topic}`);
  await row(page, ids[0] ?? "").getByRole("checkbox").check();
  await page.getByRole("button", { name: "Send 1 again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await expect(outcome(page)).toHaveText("1 came from a topic that was deleted");
  // It is still there.
  await expect(rows(page)).toHaveCount(1);

  const never = await makeGroup(cluster);
  await open(page, cluster, never);
  await expect(page.getByText("There are no dead letters.")).toBeVisible();
});
