// Finding messages: by id, key, time and offset, page by page, and what is said about what is typed wrong.
import type { Page } from "@playwright/test";
import { makeTopic, send, unique } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, isAccessible, test } from "./support/fixtures";

const results = (page: Page) => page.getByRole("table", { name: "Results" });
/** Rows without the heading. */
const rows = (page: Page) => results(page).locator("tbody").getByRole("row");
const search = (page: Page) => page.getByRole("button", { name: "Search" });

async function open(page: Page, cluster: Cluster, query = ""): Promise<void> {
  await page.goto(`${cluster.http()}/console/messages${query}`);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Messages");
}

test("a message is found by its id, its key, its time and its offset", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const key = unique("key");
  const ids = [];
  for (const body of ["first", "second", "third"]) ids.push(await send(cluster, topic, { body, tag: "red", keys: [key, `only-${body}`] }));

  await open(page, cluster);
  await expect(page.getByText("Say what to look for.")).toBeVisible();
  await page.getByLabel("Topic", { exact: false }).fill(topic);

  await page.getByLabel("Key", { exact: true }).check();
  await page.getByRole("textbox", { name: "Key" }).fill(key);
  await search(page).click();
  await expect(rows(page)).toHaveCount(3);
  for (const id of ids) await expect(rows(page).filter({ hasText: id })).toHaveCount(1);
  await expect(page).toHaveURL(/by=key/);

  // A key is whole: a part of it finds nothing.
  await page.getByRole("textbox", { name: "Key" }).fill("only");
  await search(page).click();
  await expect(page.getByText("Nothing was found.")).toBeVisible();

  await page.getByRole("textbox", { name: "Key" }).fill("only-second");
  await page.keyboard.press("Enter");
  await expect(rows(page)).toHaveCount(1);
  await expect(rows(page)).toContainText("second");

  await page.getByLabel("Message id", { exact: true }).check();
  await page.getByRole("textbox", { name: "Message id" }).fill(` ${ids[2]} `);
  await search(page).click();
  await expect(rows(page)).toContainText("third");
  await expect(rows(page)).toHaveCount(1);

  await page.getByLabel("Queue and offset").check();
  await page.getByLabel("Queue (Required)").fill("0");
  await page.getByLabel("Offset (Required)").fill("1");
  await search(page).click();
  // From there on.
  await expect(rows(page)).toHaveCount(2);
  await expect(rows(page).first()).toContainText("0 / 1");

  await page.getByLabel("Time", { exact: true }).check();
  await page.getByRole("button", { name: "Last 5 min" }).click();
  await search(page).click();
  await expect(rows(page)).toHaveCount(3);

  // The filter narrows what is shown, and says so.
  await page.getByRole("searchbox").fill("second");
  await expect(rows(page)).toHaveCount(1);
  await expect(page.getByText("1 of 3 rows")).toBeVisible();
  await isAccessible(page);

  await rows(page).getByRole("link").click();
  await expect(page).toHaveURL(new RegExp(`/console/messages/${ids[1]}\\?topic=${topic}$`));
});

test("a search has an address, and the way back leads to it", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic, { keys: ["k"] });
  await open(page, cluster, `?topic=${topic}&by=key&key=k`);
  await expect(page.getByRole("textbox", { name: "Key" })).toHaveValue("k");
  await rows(page).getByRole("link", { name: id }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Message");
  await page.goBack();
  await expect(page.getByRole("textbox", { name: "Key" })).toHaveValue("k");
  await expect(rows(page)).toHaveCount(1);
});

test("many results come page by page, each message once", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster, { queues: 3 });
  const sent = [];
  for (let number = 0; number < 45; number++) sent.push(await send(cluster, topic, { body: `number ${number}`, keys: ["all"] }));
  await open(page, cluster, `?topic=${topic}&by=key&key=all&limit=20`);
  await expect(page.getByLabel("Messages on a page")).toHaveValue("20");
  const pager = page.getByRole("navigation", { name: "Pages", exact: true });
  const next = pager.getByRole("button", { name: "Next page" });
  const seen: string[] = [];
  const read = async (count: number) => {
    await expect(rows(page)).toHaveCount(count);
    seen.push(...(await rows(page).getByRole("link").allTextContents()));
  };
  await read(20);
  await next.click();
  await expect(page).toHaveURL(/at=/);
  await expect(rows(page).getByText(seen[0] ?? "")).toHaveCount(0);
  await read(20);
  await next.click();
  await read(5);
  expect([...seen].sort()).toEqual([...sent].sort());
  await expect(next).toHaveAttribute("aria-disabled", "true");
  await expect(next).toHaveAttribute("title", "This is the last page.");

  await pager.getByRole("button", { name: "Page before" }).click();
  await expect(rows(page).getByRole("link", { name: seen[20] ?? "" })).toBeVisible();
  await pager.getByRole("button", { name: "First page" }).click();
  await expect(rows(page).getByRole("link", { name: seen[0] ?? "" })).toBeVisible();
  await expect(page).not.toHaveURL(/at=/);

  // A bigger page holds all of them, and needs no steps.
  await page.getByLabel("Messages on a page").selectOption("50");
  await expect(rows(page)).toHaveCount(45);
});

test("what is typed wrong is said at its field, and nothing is asked", async ({ page, cluster }) => {
  const asked: string[] = [];
  page.on("request", (request) => request.url().includes("/api/v1/messages") && asked.push(request.url()));
  await open(page, cluster);
  const topic = page.getByLabel("Topic", { exact: false });

  await search(page).click();
  await expect(topic).toHaveAttribute("aria-invalid", "true");
  await expect(topic).toBeFocused();
  await expect(page.getByText("Fill this in.")).toBeVisible();

  await topic.fill("anything");
  await page.getByLabel("Stored from").fill("2026-06-02T10:00");
  await page.getByLabel("Stored until").fill("2026-06-01T10:00");
  await search(page).click();
  await expect(page.getByText("This lies before the other time.")).toBeVisible();

  await page.getByLabel("Queue and offset").check();
  await page.getByLabel("Queue (Required)").fill("0");
  for (const wrong of ["-1", "1.5", ""]) {
    await page.getByLabel("Offset (Required)").fill(wrong);
    await search(page).click();
    await expect(page.getByLabel("Offset (Required)")).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByText("A whole number, 0 or more.")).toBeVisible();
  }

  await page.getByLabel("Key", { exact: true }).check();
  await search(page).click();
  await expect(page.getByRole("textbox", { name: "Key" })).toHaveAttribute("aria-invalid", "true");
  await isAccessible(page);
  expect(asked).toEqual([]);
});

test("what the node refuses is said in its words, and what was typed stays", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const missing = unique("missing");
  await open(page, cluster, `?topic=${missing}&by=key&key=k`);
  const alert = page.getByRole("alert").filter({ hasText: "did not work" });
  await expect(alert).toContainText(`topic ${missing} does not exist`);
  await expect(page.getByLabel("Topic", { exact: false })).toHaveValue(missing);

  await open(page, cluster, `?topic=${topic}&queue=77&offset=0`);
  await expect(alert).toContainText("the topic has the queues 0 to 0, not 77");
  await expect(page.getByLabel("Queue (Required)")).toHaveValue("77");

  await open(page, cluster, `?topic=${topic}&by=key&key=k&at=nonsense`);
  await expect(alert).toContainText("is not what an earlier page ended with");
  await isAccessible(page);
});

test("an id alone is looked for in all topics, and one that is nowhere is said to be nowhere", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic, { body: "found without a topic" });
  await open(page, cluster, "?by=id");
  await page.getByRole("textbox", { name: "Message id" }).fill(id);
  await search(page).click();
  await expect(page).toHaveURL(new RegExp(`/console/messages/${id}$`));
  await expect(page.getByRole("region", { name: "Facts" })).toContainText(topic);
  await expect(page.getByLabel("Body", { exact: true }).last()).toHaveText("found without a topic");

  const other = await makeTopic(cluster);
  await page.goto(`${cluster.http()}/console/messages/${id}?topic=${other}`);
  await expect(page.getByText(`No message with this id is in topic ${other}.`)).toBeVisible();
  await page.getByRole("link", { name: "Look in all topics" }).click();
  await expect(page.getByRole("region", { name: "Facts" })).toContainText(topic);

  await page.goto(`${cluster.http()}/console/messages/01000000000000000000000000000000AA`);
  await expect(page.getByText("No message with this id is in any topic.")).toBeVisible();
  await page.getByRole("link", { name: "Search in a topic" }).click();
  await expect(page.getByRole("textbox", { name: "Message id" })).toHaveValue("01000000000000000000000000000000AA");
});
