// Actions that are stopped halfway, or given up: what was done stays, the rest is not done, and the page says so.
import { deadLetters, makeDeadLetters, makeTopic, send } from "./support/broker";
import { expect, test } from "./support/fixtures";
import { expectToast } from "./support/forms";

test("sending all dead letters again is stopped after the call that is under way", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  for (let number = 0; number < 6; number++) await send(cluster, topic, { body: `letter ${number}` });
  const group = await makeDeadLetters(cluster, topic, 6);
  await page.goto(`${cluster.http()}/console/dead-letters/${group}`);
  const rows = page.getByRole("table", { name: "Dead letters" }).locator("tbody").getByRole("row");
  await expect(rows).toHaveCount(6);
  // It walks in big steps. They are made small here, and the second one is held back.
  await page.route("**/dead-letters?*places_only*", async (route) => {
    const url = new URL(route.request().url());
    url.searchParams.set("limit", "2");
    await route.continue({ url: url.href });
  });
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  let calls = 0;
  await page.route("**/dead-letters/resend", async (route) => {
    if (++calls > 1) await held;
    await route.continue();
  });
  await page.getByRole("button", { name: "Send all again" }).click();
  await page.getByLabel(`Type ${group} to confirm`).fill(group);
  await page.getByRole("dialog").getByRole("button", { name: "Send all again" }).click();
  const outcome = page.locator("p.outcome");
  await expect(outcome).toHaveText("2 sent again");
  await page.getByRole("button", { name: "Stop" }).click();
  go();
  await expect(page.getByText("Stopped. What was done until then stays done. 4")).toBeVisible();
  await expect(outcome).toHaveText("4 sent again");
  await expect(rows).toHaveCount(2);
  expect(calls).toBe(2);
  const resent = (await deadLetters(cluster, group)).filter((letter) => letter.resent_unix_ms > 0);
  expect(resent).toHaveLength(4);
  expect((await cluster.api("GET", `/topics/${topic}`)).queues[0].next_offset, "six, and four of them again").toBe(10);

  // Later it goes on with the rest.
  await page.getByRole("button", { name: "Send all again" }).click();
  await page.getByLabel(`Type ${group} to confirm`).fill(group);
  await page.getByRole("dialog").getByRole("button", { name: "Send all again" }).click();
  await expect(outcome).toHaveText("2 sent again");
  await expect(page.getByText("There are no dead letters.")).toBeVisible();
});

test("recalling some is stopped after the one that is under way", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  for (let number = 0; number < 3; number++) await send(cluster, topic, { delay_ms: 3_600_000 + number * 1_000 });
  await page.goto(`${cluster.http()}/console/timers?topic=${topic}`);
  await page.getByLabel("Select all rows that match").check();
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  await page.route("**/timers/recall", async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole("button", { name: "Recall 3", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Recall", exact: true }).click();
  await expect(page.getByText("0 of 3")).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).click();
  go();
  await expect(page.getByText("Stopped. What was done until then stays done. 1 of 3")).toBeVisible();
  await expect(page.getByRole("table", { name: "Timers" }).locator("tbody").getByRole("row")).toHaveCount(2);
  expect((await cluster.api("GET", `/timers?topic=${topic}`)).timers).toHaveLength(2);
});

test("the spreading of a topic is given up, and nothing has changed", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_MIXED", queues: 2 });
  await cluster.api("PATCH", `/topics/${topic}`, { queues: 6 });
  // An open transaction of a message group holds it up.
  await cluster.command("send", topic, "--body", "half", "--message-group", "order-1", "--transaction", "leave-open");
  await page.goto(`${cluster.http()}/console/topics/${topic}`);
  const card = page.getByRole("region", { name: "Message groups" });
  const unit = card.getByRole("combobox", { name: "Give up after: unit" });
  await card.getByRole("spinbutton", { name: "Give up after" }).fill("5");
  await unit.selectOption("minutes");
  await card.getByRole("button", { name: "Spread over all 6 queues" }).click();
  await expect(card.getByRole("progressbar", { name: "Spreading from 2 queues to 6" })).toBeVisible();
  await expect(card).toContainText(/If it is not done by then, it is given up: .*in [45] min/);

  // Wherever one looks at the cluster it is seen.
  await page.goto(`${cluster.http()}/console/cluster`);
  await page.getByRole("region", { name: "Topics being spread" }).getByRole("link", { name: topic }).click();
  await card.getByRole("button", { name: "Give up spreading" }).click();
  await expectToast(page, "Spreading is given up.");
  await expect(card).toContainText("Message groups are spread over 2 of 6 queues.");
  await expect(card).toContainText("The last time it was given up");
  await expect(card).toContainText("an operator gave it up");
  const { topic: now } = await cluster.api("GET", `/topics/${topic}`);
  expect([now.ordered_queues, now.spreading ?? null]).toEqual([2, null]);
  await expect(card.getByRole("button", { name: "Spread over all 6 queues" })).toBeVisible();
});
