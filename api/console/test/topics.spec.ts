// Topics: made, changed, looked at, and deleted.
import type { Locator, Page } from "@playwright/test";
import { makeGroup, makeTopic, send, unique } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { expectToast, expectWrong, fact, row } from "./support/forms";

const amount = (form: Locator, name: string) => form.getByRole("spinbutton", { name });
const unit = (form: Locator, name: string) => form.getByRole("combobox", { name: `${name}: unit` });
const nameField = (form: Locator) => form.getByRole("textbox", { name: /^Name/ });

async function openCreate(page: Page, cluster: Cluster): Promise<Locator> {
  await page.goto(`${cluster.http()}/console/topics`);
  // Where there is no topic yet, there is a second such button.
  await page.getByRole("button", { name: "Create topic" }).first().click();
  return page.getByRole("dialog", { name: "Create topic" });
}

async function openTopic(page: Page, cluster: Cluster, topic: string, tab = ""): Promise<void> {
  await page.goto(`${cluster.http()}/console/topics/${topic}${tab && `?tab=${tab}`}`);
  await expect(page.getByRole("heading", { level: 1, name: topic })).toBeVisible();
}

async function topicNames(cluster: Cluster): Promise<string[]> {
  return (await cluster.api("GET", "/topics")).topics.map((topic: { name: string }) => topic.name);
}

test("a topic is created with its settings", async ({ page, cluster }) => {
  const name = unique("created");
  const form = await openCreate(page, cluster);
  await nameField(form).fill(name);
  await form.getByRole("combobox", { name: "Type" }).selectOption("FIFO");
  await amount(form, "Queues").fill("3");
  await amount(form, "Retention time").fill("2");
  await unit(form, "Retention time").selectOption("hours");
  await amount(form, "Retention size").fill("1.5");
  await unit(form, "Retention size").selectOption("GiB");
  await amount(form, "Rate limit, messages").fill("1000");
  await amount(form, "Deduplication window").fill("30");
  await form.getByRole("textbox", { name: "Deduplication property" }).fill("order");
  await form.getByRole("button", { name: "Create topic" }).click();
  await expectToast(page, `Topic ${name} is created.`);
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  await expect(fact(page, "Type")).toHaveText("FIFO");
  await expect(fact(page, "Retention time")).toHaveText("2 hr");
  await expect(fact(page, "Retention size")).toHaveText("1.5 GiB");
  await expect(fact(page, "Time to live")).toHaveText("not set");
  const { topic } = await cluster.api("GET", `/topics/${name}`);
  expect(topic).toMatchObject({ type: "TOPIC_TYPE_FIFO", queues: 3 });
  expect(topic.settings).toEqual({
    retention_ms: 7_200_000,
    retention_bytes: 1.5 * 1024 ** 3,
    max_messages_per_s: 1_000,
    dedup_window_ms: 30_000,
    dedup_property: "order",
  });
});

test("what is wrong in a new topic is said beside each field, and nothing is sent", async ({ page, cluster }) => {
  const form = await openCreate(page, cluster);
  const submit = form.getByRole("button", { name: "Create topic" });
  await submit.click();
  await expectWrong(nameField(form), "Fill this in.");
  await expect(nameField(form)).toBeFocused();

  await form.getByRole("combobox", { name: "Type" }).selectOption("Lite");
  await nameField(form).fill("no spaces");
  await amount(form, "Queues").fill("0");
  const whole = ["Retention time", "Retention size", "Time to live", "Rate limit, size"];
  for (const name of whole) await amount(form, name).fill("-1");
  await amount(form, "Rate limit, messages").fill("4294967296");
  await amount(form, "Deduplication window").fill("9");
  await amount(form, "Lite idle time").fill("0.5");
  await submit.click();
  await expectWrong(nameField(form), "Only letters, digits, “-”, “_”, “%” and “|” are allowed");
  await expectWrong(amount(form, "Queues"), "A whole number from 1 to 65,536.");
  for (const name of whole) await expectWrong(amount(form, name), "A whole number above 0, or nothing.");
  await expectWrong(amount(form, "Rate limit, messages"), "A whole number from 1 to 4,294,967,295, or nothing.");
  await expectWrong(amount(form, "Deduplication window"), "10 seconds to 10 minutes, or nothing.");
  await expectWrong(amount(form, "Lite idle time"), "1 second at least, or nothing.");
  await expect(nameField(form)).toHaveValue("no spaces");

  await nameField(form).fill("a".repeat(128));
  await expectWrong(nameField(form), "at most 127");
  // A field that was put right says so at once.
  await amount(form, "Queues").fill("1");
  await expect(amount(form, "Queues")).not.toHaveAttribute("aria-invalid");
  expect(await topicNames(cluster)).not.toContain("no spaces");
});

test("a name that is taken is refused by the server, and what was typed stays", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 2 });
  const form = await openCreate(page, cluster);
  await nameField(form).fill(name);
  await amount(form, "Queues").fill("5");
  await form.getByRole("button", { name: "Create topic" }).click();
  await expect(form.getByRole("alert")).toHaveText(`topic ${name} exists already`);
  await expect(nameField(form)).toHaveValue(name);
  await expect(amount(form, "Queues")).toHaveValue("5");
  await form.getByRole("checkbox", { name: "No error if it exists" }).check();
  await form.getByRole("button", { name: "Create topic" }).click();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  expect((await cluster.api("GET", `/topics/${name}`)).topic.queues, "it stays as it was").toBe(2);
});

test("settings are changed, and one is taken away", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 2, settings: { retention_ms: 7_200_000, ttl_ms: 60_000 } });
  await openTopic(page, cluster, name);
  await expect(fact(page, "Time to live")).toHaveText("1 min");
  await page.getByRole("button", { name: "Change" }).click();
  const form = page.getByRole("dialog", { name: `Change topic ${name}` });
  const save = form.getByRole("button", { name: "Save" });
  await save.click();
  await expect(form.getByRole("alert")).toHaveText("Nothing is changed yet.");

  await expect(amount(form, "Retention time")).toHaveValue("2");
  await amount(form, "Retention time").fill("3");
  await amount(form, "Time to live").fill("");
  await amount(form, "Queues").fill("1");
  await save.click();
  await expectWrong(amount(form, "Queues"), "It has 2 queues already; it can get more, not fewer.");
  await amount(form, "Queues").fill("4");
  await save.click();
  await expectToast(page, "The topic is changed.");
  await expect(form).toBeHidden();
  await expect(fact(page, "Time to live")).toHaveText("not set");
  await expect(fact(page, "Retention time")).toHaveText("3 hr");
  const { topic } = await cluster.api("GET", `/topics/${name}`);
  expect(topic.queues).toBe(4);
  expect(topic.settings).toEqual({ retention_ms: 10_800_000 });
});

test("a change that the server refuses says why, and stays typed", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 2 });
  await openTopic(page, cluster, name);
  await page.getByRole("button", { name: "Change" }).click();
  const form = page.getByRole("dialog", { name: `Change topic ${name}` });
  await amount(form, "Queues").fill("6");
  // Somebody else deletes it meanwhile.
  await cluster.api("DELETE", `/topics/${name}`);
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form.getByRole("alert")).toHaveText(`topic ${name} does not exist`);
  await expect(amount(form, "Queues")).toHaveValue("6");
});

test("queues are shown as the server has them, and lead to their messages", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 4 });
  await openTopic(page, cluster, name, "queues");
  const table = page.getByRole("table", { name: "Queues of the topic" });
  await expect(table.getByRole("row")).toHaveCount(5);
  for (let number = 0; number < 6; number++) await send(cluster, name, { keys: [`key-${number}`] });
  const { queues } = await cluster.api("GET", `/topics/${name}`);
  expect(queues.reduce((sum: number, queue: any) => sum + queue.next_offset, 0)).toBe(6);
  for (const queue of queues) {
    // It looks again by itself.
    const cells = table.getByRole("row").filter({ has: page.getByRole("rowheader", { name: `${queue.queue}`, exact: true }) }).getByRole("cell");
    const count = queue.next_offset - queue.first_offset;
    await expect(cells.nth(3)).toHaveText(`${queue.next_offset}`);
    await expect(cells.nth(4)).toHaveText(`${count}`);
    await expect(cells.nth(0)).toHaveText(queue.broker_group);
    await expect(cells.nth(1)).toHaveText(`node${queue.leader_node}`);
  }
  const filled = queues.find((queue: any) => queue.next_offset > 0);
  await page.getByRole("link", { name: new RegExp(`: Queue ${filled.queue}$`) }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Messages" })).toBeVisible();
  await expect(page.getByText(/^key-\d$/).first()).toBeVisible();
});

test("a message is sent, and its link leads to it", async ({ page, cluster }) => {
  const name = await makeTopic(cluster);
  await openTopic(page, cluster, name);
  await page.getByRole("tab", { name: "Send a message" }).click();
  const form = page.getByRole("tabpanel", { name: "Send a message" });
  const body = form.getByRole("textbox", { name: "Body" });
  const submit = form.getByRole("button", { name: "Send", exact: true });
  await submit.click();
  await expectWrong(body, "A message has to have a body.");
  await form.getByRole("combobox", { name: "Body as" }).selectOption("JSON");
  await body.fill('{"order": 7');
  await form.getByRole("textbox", { name: "Tag" }).fill("a|b");
  await form.getByRole("button", { name: "Add a property" }).click();
  await submit.click();
  await expectWrong(body, "This is no JSON");
  await expectWrong(form.getByRole("textbox", { name: "Tag" }), "A tag has no “|”.");
  const property = form.getByRole("textbox", { name: "Name of property 1" });
  await expectWrong(property, "A property needs a name.");

  await body.fill('{"order": 7}');
  await form.getByRole("textbox", { name: "Tag" }).fill("paid");
  await form.getByRole("textbox", { name: "Keys" }).fill("order-7 customer-1");
  await property.fill("TAGS");
  await form.getByRole("textbox", { name: "Value of property 1" }).fill("red");
  await submit.click();
  await expect(form.getByRole("alert")).toHaveText("the property name TAGS is reserved");
  // What is half typed outlives a look at another tab.
  await page.getByRole("tab", { name: "Overview" }).click();
  await page.getByRole("tab", { name: "Send a message" }).click();
  await expect(body).toHaveValue('{"order": 7}');
  await property.fill("colour");
  await submit.click();
  await expectToast(page, "Message sent");

  const found = await cluster.api("GET", `/messages?topic=${name}&key=order-7`);
  expect(found.messages).toHaveLength(1);
  const [message] = found.messages;
  expect(Buffer.from(message.body, "base64").toString()).toBe('{"order": 7}');
  expect(message).toMatchObject({ tag: "paid", keys: ["order-7", "customer-1"], properties: { colour: "red" } });
  await page.getByRole("region", { name: "Sent" }).getByRole("link", { name: "Look at messages" }).click();
  await expect(page).toHaveURL(new RegExp(`/console/messages/${message.message_id}\\?topic=${name}`));
  await expect(page.getByText("order-7").first()).toBeVisible();
});

test("who sends and who reads is shown while they are connected", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 2 });
  const group = await makeGroup(cluster);
  await openTopic(page, cluster, name, "clients");
  await expect(page.getByText("No consumer is connected now")).toBeVisible();
  await expect(page.getByText("No producer is connected now")).toBeVisible();
  const reader = cluster.begin("receive", name, "--group", group, "--max", "100000", "--wait", "100s");
  const sender = cluster.begin("bench", "send", "--topic", name, "--rate", "5", "--seconds", "100", "--connections", "1");
  try {
    await expect(row(page, "Who reads", group)).toContainText("Simple consumer");
    await expect(row(page, "Who sends", "Producer")).toHaveCount(1);
    const { clients } = await cluster.api("GET", `/clients?topic=${name}`);
    for (const client of clients) await expect(page.getByRole("tabpanel")).toContainText(client.client_id);
    await row(page, "Consumer groups", group).getByRole("link", { name: group }).click();
    await expect(page.getByRole("heading", { level: 1, name: group })).toBeVisible();
  } finally {
    reader.kill();
    sender.kill();
  }
});

test("message groups are spread over queues that were added", async ({ page, cluster }) => {
  const name = await makeTopic(cluster, { queues: 2, type: "TOPIC_TYPE_FIFO" });
  await cluster.api("PATCH", `/topics/${name}`, { queues: 4 });
  await openTopic(page, cluster, name);
  const card = page.getByRole("region", { name: "Message groups" });
  await expect(card).toContainText("Message groups are spread over 2 of 4 queues.");
  const within = card.getByRole("spinbutton", { name: "Give up after" });
  await within.fill("0");
  await expectWrong(within, "A time above 0, or nothing.");
  await within.fill("30");
  await card.getByRole("button", { name: "Spread over all 4 queues" }).click();
  await expectToast(page, "Spreading has begun.");
  await expect(card).toContainText("Message groups are spread over all 4 queues.");
  expect((await cluster.api("GET", `/topics/${name}`)).topic.ordered_queues).toBe(4);
});

test("a topic is deleted once its name is typed", async ({ page, cluster }) => {
  const name = await makeTopic(cluster);
  await send(cluster, name);
  await openTopic(page, cluster, name);
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog", { name: `Delete topic ${name}` });
  await expect(dialog).toContainText("1 message goes with it.");
  await expect(dialog).toContainText("No consumer group reads it.");
  const typed = dialog.getByRole("textbox", { name: `Type ${name} to confirm` });
  await typed.fill(name.slice(0, -1));
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expectWrong(typed, "That is not the name.");
  expect(await topicNames(cluster)).toContain(name);
  await typed.fill(name);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expectToast(page, `Topic ${name} is deleted.`);
  await expect(page).toHaveURL(`${cluster.http()}/console/topics`);
  await expect(page.getByRole("link", { name, exact: true })).toHaveCount(0);
  expect(await topicNames(cluster)).not.toContain(name);
});
