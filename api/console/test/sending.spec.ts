// Messages that are sent from the page of a topic, of the types that have a field of their own: what arrives is what was typed.
import type { Locator, Page } from "@playwright/test";
import { makeGroup, makeTopic } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { expectToast, expectWrong } from "./support/forms";

const field = (form: Locator, name: string) => form.getByRole("textbox", { name });
const amount = (form: Locator, name: string) => form.getByRole("spinbutton", { name });
const sent = (page: Page) => page.getByRole("region", { name: "Sent" }).getByRole("listitem");

async function openForm(page: Page, cluster: Cluster, topic: string): Promise<Locator> {
  await page.goto(`${cluster.http()}/console/topics/${topic}?tab=send`);
  return page.getByRole("tabpanel", { name: "Send a message" });
}

/** Sends what the form has; the id that the page shows. */
async function submit(page: Page, form: Locator): Promise<string> {
  const before = await sent(page).count();
  await form.getByRole("button", { name: "Send", exact: true }).click();
  await expect(sent(page)).toHaveCount(before + 1);
  return (await sent(page).first().locator("code").innerText()).trim();
}

test("a message with a delay waits for its time, and then arrives", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_DELAY" });
  const group = await makeGroup(cluster);
  const form = await openForm(page, cluster, topic);
  await field(form, "Body").fill("wake up");
  await form.getByRole("button", { name: "Send", exact: true }).click();
  await expectWrong(amount(form, "Delay"), "Fill this in.");
  await amount(form, "Delay").fill("0");
  await expectWrong(amount(form, "Delay"), "A time above 0.");

  await amount(form, "Delay").fill("90");
  await form.getByRole("combobox", { name: "Delay: unit" }).selectOption("minutes");
  await field(form, "Keys").fill("late");
  const begun = Date.now();
  const late = await submit(page, form);
  const { timers } = await cluster.api("GET", `/timers?topic=${topic}`);
  expect(timers.map((timer: any) => timer.message_id)).toEqual([late]);
  const due = timers[0].due_unix_ms - 90 * 60_000;
  expect(due).toBeGreaterThanOrEqual(begun - 1_000);
  expect(due).toBeLessThanOrEqual(Date.now() + 1_000);
  await sent(page).getByRole("link", { name: "Look at messages" }).click();
  await expect(page.getByRole("region", { name: "Facts" })).toContainText("waits for its time");

  const again = await openForm(page, cluster, topic);
  await field(again, "Body").fill("good morning");
  await field(again, "Tag").fill("early");
  await amount(again, "Delay").fill("1.5");
  const soon = await submit(page, again);
  const received = await cluster.command("receive", topic, "--group", group, "--wait", "60s");
  expect(received).toMatchObject({ message_id: soon, body: "good morning", tag: "early" });
  expect(received.stored_unix_ms - received.born_unix_ms).toBeGreaterThanOrEqual(1_500);
});

test("a message with a higher priority is delivered earlier", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_PRIORITY", queues: 4 });
  const group = await makeGroup(cluster);
  const form = await openForm(page, cluster, topic);
  const priority = amount(form, "Priority");
  await expect(priority).toHaveValue("0");
  await expect(priority).toHaveAccessibleDescription("0 to 3; a higher one is delivered earlier.");
  await field(form, "Body").fill("by and by");
  const low = await submit(page, form);
  for (const wrong of ["-1", "1.5", ""]) {
    await priority.fill(wrong);
    await form.getByRole("button", { name: "Send", exact: true }).click();
    await expectWrong(priority, "A whole number, 0 or more.");
  }
  await field(form, "Body").fill("at once");
  await priority.fill("3");
  const high = await submit(page, form);
  await expectToast(page, "Message sent");

  const next = () => cluster.command("receive", topic, "--group", group);
  expect(await next()).toMatchObject({ message_id: high, body: "at once", priority: 3 });
  expect(await next()).toMatchObject({ message_id: low, body: "by and by", priority: 0 });
});

test("a message of a lite topic goes to who reads that one, and to nobody else", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_LITE" });
  const group = await makeGroup(cluster);
  const form = await openForm(page, cluster, topic);
  const lite = field(form, "Lite topic");
  await field(form, "Body").fill("22 degrees");
  await form.getByRole("button", { name: "Send", exact: true }).click();
  await expectWrong(lite, "Fill this in.");
  await lite.fill("x".repeat(65));
  await expectWrong(lite, "At most 64 bytes.");
  await lite.fill("not allowed");
  await form.getByRole("button", { name: "Send", exact: true }).click();
  await expect(form.getByRole("alert")).toHaveText("a lite topic's name has 1 to 64 letters, digits, '_' or '-'");
  await expect(sent(page)).toHaveCount(0);

  await lite.fill("kitchen");
  const kitchen = await submit(page, form);
  await field(form, "Body").fill("9 degrees");
  await lite.fill("cellar");
  const cellar = await submit(page, form);
  const read = (name: string) => cluster.command("receive", topic, "--group", group, "--lite", name);
  expect(await read("cellar")).toMatchObject({ message_id: cellar, body: "9 degrees" });
  expect(await read("kitchen")).toMatchObject({ message_id: kitchen, body: "22 degrees" });
});

test("a message group and a delay do not go together, and each goes alone", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { type: "TOPIC_TYPE_MIXED" });
  const group = await makeGroup(cluster);
  const form = await openForm(page, cluster, topic);
  await field(form, "Body").fill("paid");
  await field(form, "Message group").fill("customer-3");
  await amount(form, "Delay").fill("1");
  await form.getByRole("button", { name: "Send", exact: true }).click();
  await expectWrong(amount(form, "Delay"), "A delay cannot stand with a message group.");
  await amount(form, "Delay").fill("");
  const id = await submit(page, form);
  expect(await cluster.command("receive", topic, "--group", group)).toMatchObject({ message_id: id, message_group: "customer-3", body: "paid" });
});
