// Where a consumer group begins, and what a pause means to its consumers.
import { createInterface } from "node:readline";
import { makeGroup, makeTopic, send, unique } from "./support/broker";
import { expect, test } from "./support/fixtures";
import { expectToast, fact } from "./support/forms";

test("a group that begins at a time gets what was stored from then on", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const before = await send(cluster, topic, { body: "before" });
  // The form knows whole seconds.
  const from = Math.ceil((Date.now() + 1) / 1_000) * 1_000;
  await expect.poll(() => Date.now()).toBeGreaterThan(from);
  const after = await send(cluster, topic, { body: "after" });
  const name = unique("timed");

  await page.goto(`${cluster.http()}/console/groups`);
  await page.getByRole("button", { name: "Create consumer group" }).first().click();
  const form = page.getByRole("dialog", { name: "Create consumer group" });
  await form.getByRole("textbox", { name: /^Name/ }).fill(name);
  await form.getByRole("combobox", { name: "Begin with" }).selectOption("a time");
  // What is typed is a time of the viewer's zone.
  await form.getByLabel(/^From/).fill(new Date(from).toLocaleString("sv-SE", { timeZone: "Europe/Berlin" }).replace(" ", "T"));
  await form.getByRole("button", { name: "Create consumer group" }).click();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  const { group } = await cluster.api("GET", `/groups/${name}`);
  expect(group).toMatchObject({ start_from: "START_FROM_TIME", start_unix_ms: from });

  expect(await cluster.command("receive", topic, "--group", name, "--wait", "60s")).toMatchObject({ message_id: after, body: "after" });
  await page.goto(`${cluster.http()}/console/messages/${before}?topic=${topic}&group=${name}`);
  const why = page.getByRole("region", { name: "Why is it not delivered?" });
  await expect(why.getByText("before_start", { exact: true })).toBeVisible();
  await expect(why).toContainText(new RegExp(`${name} begins at .*, and this one was stored before\\.`));
});

test("while a group is paused its consumers get nothing, and they go on where they were", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const consumer = cluster.begin("receive", topic, "--group", group, "--max", "2", "--wait", "10m");
  if (!consumer.stdout) throw new Error("its output cannot be read");
  const got: string[] = [];
  createInterface(consumer.stdout).on("line", (line) => got.push(JSON.parse(line).body));
  try {
    await send(cluster, topic, { body: "first" });
    await expect.poll(() => got).toEqual(["first"]);
    await page.goto(`${cluster.http()}/console/groups/${group}`);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog", { name: `Pause ${group}` }).getByRole("button", { name: "Pause" }).click();
    await expectToast(page, `${group} is paused.`);
    await send(cluster, topic, { body: "second" });
    await expect(fact(page, "Lag")).toContainText(/^1/);
    await expect(fact(page, "In flight")).toContainText(/^0/);
    expect(got).toEqual(["first"]);
    await page.getByRole("button", { name: "Resume" }).click();
    await expect.poll(() => got).toEqual(["first", "second"]);
    await expect(fact(page, "Lag")).toContainText(/^0/);
  } finally {
    consumer.kill();
  }
});
