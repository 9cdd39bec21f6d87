// Consumer groups: made, paused, moved to another place, and whether their clients agree.
import type { Locator, Page } from "@playwright/test";
import { makeGroup, makeTopic, send, unique } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { expectToast, expectWrong, fact, row } from "./support/forms";
import { ClientConnection } from "./support/grpc-client";

const nameField = (form: Locator) => form.getByRole("textbox", { name: /^Name/ });
const amount = (form: Locator | Page, name: string) => form.getByRole("spinbutton", { name });
const unit = (form: Locator, name: string) => form.getByRole("combobox", { name: `${name}: unit` });

async function openCreate(page: Page, cluster: Cluster): Promise<Locator> {
  await page.goto(`${cluster.http()}/console/groups`);
  await page.getByRole("button", { name: "Create consumer group" }).first().click();
  return page.getByRole("dialog", { name: "Create consumer group" });
}

async function openGroup(page: Page, cluster: Cluster, group: string, query = ""): Promise<void> {
  await page.goto(`${cluster.http()}/console/groups/${group}${query}`);
  await expect(page.getByRole("heading", { level: 1, name: group })).toBeVisible();
}

/** A group that has settled some of the messages of a topic with one queue. */
async function makeReader(cluster: Cluster, messages: number, settled: number): Promise<{ topic: string; group: string }> {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  for (let sent = 0; sent < messages; sent++) await send(cluster, topic);
  await cluster.command("receive", topic, "--group", group, "--max", `${settled}`);
  await expect.poll(() => settledOf(cluster, group, topic)).toBe(settled);
  return { topic, group };
}

async function settledOf(cluster: Cluster, group: string, topic: string): Promise<number> {
  return (await cluster.api("GET", `/groups/${group}/offsets?topic=${topic}`)).queues[0].settled_offset;
}

test("a consumer group is created with levels of its own", async ({ page, cluster }) => {
  const name = unique("levels");
  const form = await openCreate(page, cluster);
  await nameField(form).fill(name);
  await form.getByRole("checkbox", { name: "In order (FIFO)" }).check();
  await form.getByRole("combobox", { name: "Begin with" }).selectOption("what comes from now on");
  await amount(form, "Attempts").fill("5");
  await amount(form, "Bound in flight").fill("100");
  await form.getByRole("combobox", { name: "Pauses between deliveries" }).selectOption("Own levels");
  await form.getByRole("textbox", { name: "Levels" }).fill("500ms 90s, 2h");
  await form.getByRole("button", { name: "Create consumer group" }).click();
  await expectToast(page, `Consumer group ${name} is created.`);
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  await expect(fact(page, "Retries")).toHaveText("500ms 90s 2h");
  await expect(fact(page, "Attempts")).toHaveText("5");
  const { group } = await cluster.api("GET", `/groups/${name}`);
  expect(group).toMatchObject({ fifo: true, start_from: "START_FROM_LAST", max_attempts: 5, in_flight_max: 100 });
  expect(group.retry.levels_ms).toEqual([500, 90_000, 7_200_000]);
});

test("a consumer group is created with pauses that grow, and changed", async ({ page, cluster }) => {
  const name = unique("growing");
  const form = await openCreate(page, cluster);
  await nameField(form).fill(name);
  await form.getByRole("combobox", { name: "Pauses between deliveries" }).selectOption("Exponential");
  await amount(form, "First pause").fill("2");
  await amount(form, "Longest pause").fill("5");
  await unit(form, "Longest pause").selectOption("minutes");
  await amount(form, "Factor").fill("1.5");
  await form.getByRole("button", { name: "Create consumer group" }).click();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  await expect(fact(page, "Retries")).toHaveText("from 2 sec to 5 min, times 1.5");
  const exponential = async () => (await cluster.api("GET", `/groups/${name}`)).group.retry.exponential;
  expect(await exponential()).toEqual({ initial_ms: 2_000, max_ms: 300_000, multiplier_percent: 150 });

  await page.getByRole("button", { name: "Change" }).click();
  const change = page.getByRole("dialog", { name: `Change consumer group ${name}` });
  await amount(change, "Factor").fill("3");
  await change.getByRole("button", { name: "Save" }).click();
  await expectToast(page, "The consumer group is changed.");
  await expect(fact(page, "Retries")).toHaveText("from 2 sec to 5 min, times 3");
  expect(await exponential()).toEqual({ initial_ms: 2_000, max_ms: 300_000, multiplier_percent: 300 });
});

test("what is wrong in a new consumer group is said beside each field", async ({ page, cluster }) => {
  const taken = await makeGroup(cluster);
  const form = await openCreate(page, cluster);
  const submit = form.getByRole("button", { name: "Create consumer group" });
  const mode = form.getByRole("combobox", { name: "Pauses between deliveries" });
  const levels = form.getByRole("textbox", { name: "Levels" });
  await nameField(form).fill("a.b");
  await form.getByRole("combobox", { name: "Begin with" }).selectOption("a time");
  await amount(form, "Attempts").fill("10001");
  await amount(form, "Bound in flight").fill("-1");
  await mode.selectOption("Own levels");
  await submit.click();
  await expectWrong(nameField(form), "Only letters, digits, “-”, “_”, “%” and “|” are allowed, at most 120.");
  await expectWrong(form.getByLabel(/^From/), "Fill this in.");
  await expectWrong(amount(form, "Attempts"), "A whole number from 1 to 10,000.");
  await expectWrong(amount(form, "Bound in flight"), "A whole number above 0, or nothing.");
  await expectWrong(levels, "1 to 64 levels.");
  await levels.fill("10s soon");
  await expectWrong(levels, "“soon” is no pause such as 10s, 5m or 2h, up to 12h.");
  await levels.fill("13h");
  await expectWrong(levels, "“13h” is no pause");
  await mode.selectOption("Exponential");
  await amount(form, "First pause").fill("700");
  await amount(form, "Factor").fill("0.5");
  await expectWrong(amount(form, "First pause"), "At least 1 ms, and no longer than the longest pause.");
  await expectWrong(amount(form, "Factor"), "A number from 1 to 100.");
  await amount(form, "Longest pause").fill("10000");
  await unit(form, "Longest pause").selectOption("hours");
  await expectWrong(amount(form, "Longest pause"), "At most 12 hours.");

  // What the browser cannot know, the server says.
  await nameField(form).fill(taken);
  await form.getByRole("combobox", { name: "Begin with" }).selectOption("the first message");
  await amount(form, "Attempts").fill("7");
  await amount(form, "Bound in flight").fill("");
  await mode.selectOption("18 levels, from 1 second to 2 hours");
  await submit.click();
  await expect(form.getByRole("alert")).toHaveText(`consumer group ${taken} exists already`);
  await expect(nameField(form)).toHaveValue(taken);
  await expect(amount(form, "Attempts")).toHaveValue("7");
  expect((await cluster.api("GET", `/groups/${taken}`)).group.max_attempts).toBe(16);
});

test("a consumer group is paused and resumed", async ({ page, cluster }) => {
  const group = await makeGroup(cluster);
  const isPaused = async () => (await cluster.api("GET", `/groups/${group}`)).group.paused;
  await openGroup(page, cluster, group);
  await page.getByRole("button", { name: "Pause" }).click();
  const dialog = page.getByRole("dialog", { name: `Pause ${group}` });
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  expect(await isPaused()).toBe(false);
  await page.getByRole("button", { name: "Pause" }).click();
  await dialog.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("This consumer group is paused")).toBeVisible();
  expect(await isPaused()).toBe(true);
  await page.goto(`${cluster.http()}/console/groups`);
  await expect(row(page, "Consumer groups", group)).toContainText("Paused");
  await page.getByRole("link", { name: group, exact: true }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await expectToast(page, `${group} goes on.`);
  await expect(page.getByText("This consumer group is paused")).toBeHidden();
  expect(await isPaused()).toBe(false);
});

test("a reset shows what it would do, and does it once the name is typed", async ({ page, cluster }) => {
  const { topic, group } = await makeReader(cluster, 10, 6);
  await openGroup(page, cluster, group);
  await expect(row(page, "By topic", topic)).toContainText("4");
  await row(page, "By topic", topic).getByRole("link", { name: /Reset/ }).click();
  await page.getByRole("button", { name: "Preview" }).click();
  const preview = page.getByRole("region", { name: "What would happen" });
  await expect(preview.getByRole("status")).toContainText("6 messages are delivered again.");
  await expect(row(page, "What would happen", "again").getByRole("cell")).toHaveText(["6", "0", "6 messages again"]);
  const told = await cluster.api("POST", `/groups/${group}/reset`, { topic, to: "START_FROM_FIRST", preview: true });
  expect(told.queues[0]).toMatchObject({ settled_offset: 0, end_offset: 10 });

  await preview.getByRole("button", { name: "Reset" }).click();
  const dialog = page.getByRole("dialog", { name: `Move ${group} in ${topic}` });
  const typed = dialog.getByRole("textbox", { name: `Type ${group} to confirm` });
  await typed.fill(topic);
  await dialog.getByRole("button", { name: "Reset" }).click();
  await expectWrong(typed, "That is not the name.");
  expect(await settledOf(cluster, group, topic), "a preview and a wrong name change nothing").toBe(6);
  await typed.fill(group);
  await dialog.getByRole("button", { name: "Reset" }).click();
  await expectToast(page, `The consumer group is moved in ${topic}.`);
  await expect(dialog).toBeHidden();
  expect(await settledOf(cluster, group, topic)).toBe(0);
  await page.getByRole("tab", { name: "Overview" }).click();
  await expect(fact(page, "Lag")).toContainText("10");
});

test("a reset to an offset is checked, by the page and by the server", async ({ page, cluster }) => {
  const { topic, group } = await makeReader(cluster, 5, 2);
  await openGroup(page, cluster, group, "?tab=reset&to=offset");
  const form = page.getByRole("tabpanel");
  const preview = page.getByRole("button", { name: "Preview" });
  await expect(form.getByRole("combobox", { name: "Topic" })).toHaveValue(topic);
  await preview.click();
  await expectWrong(amount(form, "Queue"), "The number of a queue, from 0 on.");
  await expectWrong(amount(form, "Offset"), "A whole number, 0 or more.");
  await amount(form, "Queue").fill("0");
  await amount(form, "Offset").fill("100");
  await preview.click();
  await expect(form.getByRole("alert")).toHaveText("the offset 100 lies behind the end of queue 0: its next message gets 5");
  await expect(amount(form, "Offset")).toHaveValue("100");
  await amount(form, "Offset").fill("4");
  await preview.click();
  await expect(row(page, "What would happen", "skipped").getByRole("cell")).toHaveText(["2", "4", "2 skipped"]);
  // A preview is of what the form says, or it is not there.
  await amount(form, "Offset").fill("3");
  await expect(page.getByRole("region", { name: "What would happen" })).toBeHidden();
});

// POST /groups/G/reset {"topic": T, "queue": 7, "offset": 1, "preview": true} of a topic with one queue answers 200; without
// `preview` it is refused: "topic T has the queues 0 to 0, not 7".
test("a reset of a queue that is not there is refused in the preview", async ({ page, cluster }) => {
  const { topic, group } = await makeReader(cluster, 1, 1);
  await openGroup(page, cluster, group, "?tab=reset&to=offset&queue=7&offset=1");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.getByRole("tabpanel").getByRole("alert")).toHaveText(`topic ${topic} has the queues 0 to 0, not 7`);
});

test("what waits is skipped", async ({ page, cluster }) => {
  const { topic, group } = await makeReader(cluster, 5, 2);
  await openGroup(page, cluster, group);
  await page.getByRole("tab", { name: "Skip" }).click();
  await page.getByRole("button", { name: "See what would be skipped" }).click();
  const preview = page.getByRole("region", { name: "What would happen" });
  await expect(preview.getByRole("status")).toContainText("3 messages are skipped");
  await preview.getByRole("button", { name: "Skip" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill(group);
  await dialog.getByRole("button", { name: "Skip" }).click();
  await expectToast(page, `The consumer group is moved in ${topic}.`);
  expect(await settledOf(cluster, group, topic)).toBe(5);
  await page.getByRole("button", { name: "See what would be skipped" }).click();
  await expect(preview.getByRole("status")).toContainText("No queue would move.");
});

test("a group that has not begun yet is told where it would begin", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster, { start_from: "START_FROM_LAST" });
  for (let sent = 0; sent < 3; sent++) await send(cluster, topic);
  await openGroup(page, cluster, group, `?tab=reset&topic=${topic}`);
  await page.getByRole("button", { name: "Preview" }).click();
  const preview = page.getByRole("region", { name: "What would happen" });
  await expect(preview.getByRole("status")).toContainText("In 1 queue it has not begun yet: it begins there.");
  await expect(row(page, "What would happen", "begins").getByRole("cell")).toHaveText(["not begun", "0", "begins there"]);
  await preview.getByRole("button", { name: "Reset" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill(group);
  await dialog.getByRole("button", { name: "Reset" }).click();
  await expectToast(page, `The consumer group is moved in ${topic}.`);
  // From the first one on, and not with what comes.
  await cluster.command("receive", topic, "--group", group, "--max", "3");
  await expect.poll(() => settledOf(cluster, group, topic)).toBe(3);
});

test("clients of a group that subscribe to different things are flagged", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const [differing, agreeing] = [await makeGroup(cluster), await makeGroup(cluster)];
  const clients = await ClientConnection.open(cluster.grpc());
  try {
    const add = (group: string, id: string, expression: string) =>
      clients.add({ id: `${group}-${id}`, kind: "push_consumer", group, topics: [{ name: topic, expression }] });
    await add(differing, "one", "paid");
    await add(differing, "two", "paid");
    await add(differing, "three", "open||paid");
    // The same, written otherwise.
    await add(agreeing, "one", "open||paid");
    await add(agreeing, "two", "paid || open");

    await openGroup(page, cluster, differing);
    await expect(page.getByText("Clients of this group have differing subscriptions")).toBeVisible();
    await page.getByRole("link", { name: "See who subscribes to what" }).click();
    const factions = page.getByRole("table", { name: "Who subscribes to what" }).getByRole("row");
    await expect(factions).toHaveCount(3);
    const names = (...ids: string[]) => ids.map((id) => `${differing}-${id}`);
    await expect(factions.nth(1)).toContainText("tag paid");
    for (const name of names("one", "two")) await expect(factions.nth(1)).toContainText(name);
    await expect(factions.nth(2)).toContainText("tag open||paid");
    for (const name of names("three")) await expect(factions.nth(2)).toContainText(name);
    await expect(row(page, "Clients", `${differing}-three`)).toContainText("Push consumer");

    await openGroup(page, cluster, agreeing, "?tab=clients");
    await expect(page.getByText("All clients have the same subscriptions.")).toBeVisible();
    await expect(page.getByText("differing subscriptions")).toHaveCount(0);
  } finally {
    await clients.close();
  }
});

test("a consumer group is deleted once its name is typed", async ({ page, cluster }) => {
  const { topic, group } = await makeReader(cluster, 3, 1);
  await openGroup(page, cluster, group);
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog", { name: `Delete consumer group ${group}` });
  await expect(dialog).toContainText("It has 2 unsettled messages.");
  const typed = dialog.getByRole("textbox", { name: `Type ${group} to confirm` });
  await typed.fill(topic);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expectWrong(typed, "That is not the name.");
  await typed.fill(group);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expectToast(page, `Consumer group ${group} is deleted.`);
  await expect(page).toHaveURL(`${cluster.http()}/console/groups`);
  const { groups } = await cluster.api("GET", "/groups");
  expect(groups.map((it: { name: string }) => it.name)).not.toContain(group);
});
