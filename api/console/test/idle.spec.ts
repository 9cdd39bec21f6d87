// A session ends when nothing was done for half an hour. What a page asks for by itself is nothing that somebody does.
import type { Page } from "@playwright/test";
import { makeTopic } from "./support/broker";
import { expect, logIn, test } from "./support/fixtures";
import { makeUser, SEES } from "./support/people";
import { cookieOf, setUsedAt, usedAt } from "./support/session";

const MINUTE_MS = 60_000;
const IDLE_MS = 30 * MINUTE_MS;
const heading = (page: Page) => page.getByRole("heading", { level: 1 });

test("who does nothing is out, though the page goes on by itself, and is back where one was", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const topic = await makeTopic(guarded);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics/${topic}?tab=queues`);
  await expect(page.getByRole("table", { name: "Queues of the topic" })).toBeVisible();
  const asksByItself = page.waitForResponse((response) => response.request().headers()["x-ledgermq-background"] === "1" && response.ok(), { timeout: 20_000 });
  const cookie = await setUsedAt(page, guarded, Date.now() - IDLE_MS + MINUTE_MS);
  await asksByItself;
  await expect(heading(page)).toHaveText(topic);
  expect(await cookieOf(page), "it does not last longer").toBe(cookie);

  await setUsedAt(page, guarded, Date.now() - IDLE_MS);
  await expect(heading(page)).toHaveText("Log in");
  await expect(page.getByText(topic)).toHaveCount(0);
  await page.getByRole("textbox", { name: "User" }).fill(who.user);
  await page.getByLabel("Secret").fill(who.secret);
  await page.keyboard.press("Enter");
  await expect(heading(page)).toHaveText(topic);
  await expect(page).toHaveURL(`${guarded.http()}/console/topics/${topic}?tab=queues`);
});

test("who does something stays in", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics`);
  await expect(heading(page)).toHaveText("Topics");
  await setUsedAt(page, guarded, Date.now() - IDLE_MS + MINUTE_MS);
  await page.getByRole("navigation").getByRole("link", { name: "Consumer groups" }).click();
  await expect(heading(page)).toHaveText("Consumer groups");
  await expect.poll(async () => Date.now() - (await usedAt(page, guarded))).toBeLessThan(MINUTE_MS);
});

test("what is over stays over: its cookie opens nothing", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await logIn(page, guarded.http(), who.user, who.secret);
  await setUsedAt(page, guarded, Date.now() - IDLE_MS);
  expect((await page.request.get(`${guarded.http()}/api/v1/topics`)).status()).toBe(401);
  await page.goto(`${guarded.http()}/console/groups?q=x`);
  await expect(heading(page)).toHaveText("Log in");
  await expect(page).toHaveURL(/\/console\/login\?to=groups/);
});

test("the stream that tells a page what happens does not make its session last", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/cluster`);
  await expect(heading(page)).toHaveText("Cluster");
  const cookie = await setUsedAt(page, guarded, Date.now() - 10 * MINUTE_MS);
  // As the page does it again every few minutes.
  await page.evaluate(() => new Promise((resolve) => new EventSource("/api/v1/events").addEventListener("cluster", resolve)));
  expect(await cookieOf(page)).toBe(cookie);
});
