// Where access is controlled: logging in and out, the end of a session, and what each role may do.
import type { Page } from "@playwright/test";
import { makeGroup, makeTopic, send, unique } from "./support/broker";
import { expect, isAccessible, logIn, test } from "./support/fixtures";
import { adminOf, makeUser, OPERATES, SEES } from "./support/people";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const user = (page: Page) => page.getByRole("textbox", { name: "User" });
const secret = (page: Page) => page.getByLabel("Secret");
const submit = (page: Page) => page.getByRole("button", { name: "Log in" });

/** What the API answers to this window's session, asked past the page. */
async function ask(page: Page, at: string, verb: string, path: string, data: object = {}): Promise<{ status: number; code: string }> {
  const answer = await page.request.fetch(`${at}/api/v1${path}`, { method: verb, ...(verb === "GET" ? {} : { data }) });
  return { status: answer.status(), code: (await answer.json()).error?.code ?? "" };
}

const FORBIDDEN = { status: 403, code: "PERMISSION_DENIED" };

async function logOut(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: `User ${name}: menu` }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(heading(page)).toHaveText("Log in");
}

test("one logs in, and is back where one was; a wrong secret is refused", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await page.goto(`${guarded.http()}/console/topics?all=1&q=x`);
  await expect(heading(page)).toHaveText("Log in");
  await isAccessible(page);

  await submit(page).click();
  await expect(user(page)).toBeFocused();
  await expect(page.getByText("Fill this in.")).toHaveCount(2);

  await user(page).fill(who.user);
  await secret(page).fill(`${who.secret}x`);
  await submit(page).click();
  await expect(page.getByRole("alert").filter({ hasText: "secret" })).toHaveText("the user is not known, or this is not its secret");
  await expect(user(page)).toHaveValue(who.user);
  await isAccessible(page);

  await secret(page).fill(who.secret);
  await page.keyboard.press("Enter");
  await expect(heading(page)).toHaveText("Topics");
  await expect(page).toHaveURL(`${guarded.http()}/console/topics?all=1&q=x`);
  await expect(page.getByRole("button", { name: `User ${who.user}: menu` })).toBeVisible();
});

test("the cookie is out of reach of scripts and of other sites", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await logIn(page, guarded.http(), who.user, who.secret);
  const [cookie, ...others] = await page.context().cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ name: "ledgermq_session", httpOnly: true, sameSite: "Strict" });
  expect(cookie?.value).not.toContain(who.secret);
  expect(await page.evaluate(() => document.cookie)).toBe("");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  expect(kept).not.toContain(who.secret);
});

test("who logs out leaves nothing behind, also not for the back button", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const topic = await makeTopic(guarded);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics`);
  await page.getByRole("link", { name: topic }).click();
  await expect(heading(page)).toHaveText(topic);
  await logOut(page, who.user);
  expect(await page.context().cookies()).toEqual([]);
  for (let steps = 0; steps < 2; steps++) {
    await page.goBack();
    await expect(heading(page)).toHaveText("Log in");
    await expect(page.getByText(topic)).toHaveCount(0);
  }
  expect((await ask(page, guarded.http(), "GET", "/topics")).status).toBe(401);
});

test("a session that the node ended leads to the login, and back once one is in again", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const topic = await makeTopic(guarded);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics/${topic}?tab=queues`);
  await expect(page.getByRole("tab", { name: "Queues" })).toHaveAttribute("aria-selected", "true");
  const changed = await guarded.api("PATCH", `/users/${who.user}`, { new_secret: true });
  // By itself: nobody has to click.
  await expect(heading(page)).toHaveText("Log in");
  await expect(page.getByText(topic)).toHaveCount(0);
  await user(page).fill(who.user);
  await secret(page).fill(changed.secret);
  await submit(page).click();
  await expect(heading(page)).toHaveText(topic);
  await expect(page).toHaveURL(`${guarded.http()}/console/topics/${topic}?tab=queues`);
});

test("who may only look sees what cannot be done and why, and the node refuses it too", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const topic = await makeTopic(guarded);
  const group = await makeGroup(guarded);
  const id = await send(guarded, topic);
  const late = await send(guarded, topic, { delay_ms: 3_600_000 });
  await logIn(page, guarded.http(), who.user, who.secret);
  const http = guarded.http();
  const disabled = [
    ["topics", "Create topic"],
    [`topics/${topic}`, "Delete"],
    ["groups", "Create consumer group"],
    [`groups/${group}`, "Pause"],
    [`messages/${id}?topic=${topic}`, "Send again"],
    [`dead-letters/${group}`, "Send all again"],
    ["timers", `Recall ${late}`],
  ] as const;
  for (const [place, name] of disabled) {
    await test.step(`${place}: ${name}`, async () => {
      await page.goto(`${http}/console/${place}`);
      const button = page.getByRole("button", { name }).first();
      await expect(button).toHaveAttribute("aria-disabled", "true");
      await expect(button).toHaveAttribute("title", "This needs the role “operate”. Ask an administrator.");
      await button.click({ force: true });
      await expect(page.getByRole("dialog")).toHaveCount(0);
    });
  }
  await expect(page.getByRole("navigation").getByRole("link", { name: "Access" })).toHaveCount(0);
  await page.goto(`${http}/console/access`);
  await expect(page.getByText("This needs the role “administer”. Ask an administrator.")).toBeVisible();
  await isAccessible(page);
  await page.getByRole("button", { name: `User ${who.user}: menu` }).click();
  await expect(page.getByText("may look")).toBeVisible();

  expect((await ask(page, http, "GET", `/topics/${topic}`)).status).toBe(200);
  const refused: [string, string, object?][] = [
    ["POST", "/topics", { name: unique("topic") }],
    ["DELETE", `/topics/${topic}`],
    ["POST", `/topics/${topic}/messages`, { body: "eA==" }],
    ["PATCH", `/groups/${group}`, { paused: true }],
    ["POST", `/groups/${group}/reset`, { topic, to: "START_FROM_LAST" }],
    ["POST", `/messages/${id}/resend`, { topic }],
    ["POST", "/cluster/groups/g1/transfer", {}],
    ["GET", "/users"],
    ["POST", "/users", { name: unique("user"), admin: true }],
    ["PATCH", `/users/${who.user}`, { admin: true }],
    ["PUT", `/users/${who.user}/rules`, { rule: { resource: "*", actions: ["delete"] } }],
  ];
  for (const [verb, path, data] of refused) expect(await ask(page, http, verb, path, data), `${verb} ${path}`).toEqual(FORBIDDEN);
});

test("who operates may change topics and groups, and neither users nor rules", async ({ page, guarded }) => {
  const who = await makeUser(guarded, OPERATES);
  const group = await makeGroup(guarded);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/groups/${group}`);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("button", { name: "Resume" })).toBeVisible();
  expect((await guarded.api("GET", `/groups/${group}`)).group.paused).toBe(true);
  await page.goto(`${guarded.http()}/console/access/${who.user}`);
  await expect(page.getByText("This needs the role “administer”. Ask an administrator.")).toBeVisible();
  await expect(page.getByRole("navigation").getByRole("link", { name: "Access" })).toHaveCount(0);
  for (const [verb, path] of [["GET", "/users"], ["PATCH", `/users/${who.user}`], ["DELETE", "/users/admin"]] as const) {
    expect(await ask(page, guarded.http(), verb, path), `${verb} ${path}`).toEqual(FORBIDDEN);
  }
});

test("who administers sees the way to users and rules", async ({ page, guarded }) => {
  const admin = adminOf(guarded);
  await logIn(page, guarded.http(), admin.user, admin.secret);
  await page.getByRole("navigation").getByRole("link", { name: "Access" }).click();
  await expect(heading(page)).toHaveText("Access");
  await expect(page.getByRole("table", { name: "Users" }).getByRole("row").filter({ hasText: "(you)" })).toContainText("administrator");
  await isAccessible(page);
});

test("who may see some topics sees no others, and is told what is refused", async ({ page, guarded }) => {
  const [mine, other] = [await makeTopic(guarded), await makeTopic(guarded)];
  const who = await makeUser(guarded, [{ resource: `topic:${mine}`, actions: ["get", "list"] }]);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics`);
  await expect(page.getByRole("link", { name: mine })).toBeVisible();
  await expect(page.getByText(other)).toHaveCount(0);
  await page.goto(`${guarded.http()}/console/topics/${other}`);
  const told = await page.request.get(`${guarded.http()}/api/v1/topics/${other}`);
  expect(told.status()).toBe(403);
  await expect(page.getByRole("alert").first()).toContainText((await told.json()).error.message);
  // What is in messages takes another right than to see the topic.
  await page.goto(`${guarded.http()}/console/messages?topic=${mine}&by=key&key=k`);
  await expect(page.getByRole("alert").filter({ hasText: "did not work" })).toContainText(who.user);
});

test("where access is not controlled the page says how to switch it on, and nobody logs in", async ({ page, cluster }) => {
  await page.goto(`${cluster.http()}/console/access`);
  await expect(page.getByText("Whoever reaches this node may do everything, in this console too.")).toBeVisible();
  await expect(page.locator("pre")).toContainText("[access]\nenabled = true");
  await expect(page.getByRole("navigation").getByRole("link", { name: "Access" })).toHaveCount(0);
  await isAccessible(page);
  await page.goto(`${cluster.http()}/console/login`);
  await expect(heading(page)).toHaveText("Overview");
});
