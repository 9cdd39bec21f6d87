// Users on the Access page: made, given another secret, disabled, made administrators, deleted.
import type { Page } from "@playwright/test";
import { unique } from "./support/broker";
import { Cluster, type Credentials } from "./support/cluster";
import { expect, isAccessible, logIn, test } from "./support/fixtures";
import { adminOf, makeUser, SEES, windowOf } from "./support/people";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const dialog = (page: Page, name: string) => page.getByRole("dialog", { name });

async function open(page: Page, cluster: Cluster, place = "access"): Promise<void> {
  const admin = adminOf(cluster);
  await logIn(page, cluster.http(), admin.user, admin.secret);
  await page.goto(`${cluster.http()}/console/${place}`);
}

const userOf = async (cluster: Cluster, name: string) => (await cluster.api("GET", `/users?name=${name}`)).users[0];

/** What the API answers to who shows these. */
async function status(cluster: Cluster, who: Credentials): Promise<number> {
  const shown = Buffer.from(`${who.user}:${who.secret}`).toString("base64");
  return (await fetch(`${cluster.http()}/api/v1/session`, { headers: { authorization: `Basic ${shown}` } })).status;
}

/** The secret in the dialog that shows it once. */
async function readSecret(page: Page, user: string): Promise<string> {
  const once = dialog(page, `Secret of ${user}`);
  await expect(once).toContainText("Copy it now");
  return (await once.locator("code").textContent()) ?? "";
}

test("a user is made: its secret is shown once, and lets it in", async ({ page, browser, guarded }) => {
  await open(page, guarded);
  const name = unique("shop");
  await page.getByRole("button", { name: "Create user" }).click();
  const form = dialog(page, "Create user");
  await form.getByRole("button", { name: "Create" }).click();
  await expect(form.getByLabel("Name")).toHaveAttribute("aria-invalid", "true");
  await isAccessible(page);

  // What the node refuses stays typed.
  await form.getByLabel("Name").fill("no good");
  await form.getByRole("button", { name: "Create" }).click();
  await expect(form.getByRole("alert")).toContainText('"no good" is no name for a user');
  await expect(form.getByLabel("Name")).toHaveValue("no good");
  await form.getByLabel("Name").fill("admin");
  await form.getByRole("button", { name: "Create" }).click();
  await expect(form.getByRole("alert")).toContainText("user admin exists already");
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Secret").fill("short");
  await form.getByRole("button", { name: "Create" }).click();
  await expect(form.getByRole("alert")).toContainText("a secret has 16 to 256 printable ASCII characters");
  await form.getByLabel("Secret").fill("");
  await form.getByRole("button", { name: "Create" }).click();

  const secret = await readSecret(page, name);
  await isAccessible(page);
  // Escape is pressed by mistake easily: the first time it only asks.
  await page.keyboard.press("Escape");
  await expect(dialog(page, `Secret of ${name}`)).toContainText("Is it kept?");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(page.getByRole("table", { name: "Users" }).getByRole("row").filter({ hasText: name })).toContainText("enabled");
  await page.getByRole("link", { name, exact: true }).click();
  await expect(heading(page)).toHaveText(`User ${name}`);
  expect(await page.content()).not.toContain(secret);
  expect(await userOf(guarded, name)).toMatchObject({ admin: false, enabled: true, rules: [] });

  const theirs = await windowOf(browser, guarded, { user: name, secret });
  await expect(theirs.getByRole("button", { name: `User ${name}: menu` })).toBeVisible();
  await theirs.context().close();
});

test("a new secret shuts out who has the old one", async ({ page, browser, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const theirs = await windowOf(browser, guarded, who);
  await open(page, guarded, `access/${who.user}`);
  await page.getByRole("button", { name: "New secret" }).click();
  const form = dialog(page, "New secret");
  await isAccessible(page);
  await form.getByLabel("A secret of your own").fill("too short");
  await form.getByRole("button", { name: "New secret" }).click();
  await expect(form.getByRole("alert")).toContainText("a secret has 16 to 256");
  await expect(form.getByLabel("A secret of your own")).toHaveValue("too short");
  expect(await status(guarded, who)).toBe(200);
  await form.getByLabel("A secret of your own").fill("");
  await form.getByRole("button", { name: "New secret" }).click();
  const secret = await readSecret(page, who.user);
  await page.getByRole("button", { name: "I have kept it" }).click();
  expect(secret).not.toBe(who.secret);
  expect(await status(guarded, who)).toBe(401);
  expect(await status(guarded, { ...who, secret })).toBe(200);
  await expect(heading(theirs)).toHaveText("Log in");
  await theirs.context().close();
});

test("one's own secret: one stays in, and sees the new one", async ({ page, guarded }) => {
  const me = await makeUser(guarded, [], { admin: true });
  await logIn(page, guarded.http(), me.user, me.secret);
  await page.goto(`${guarded.http()}/console/access/${me.user}`);
  await page.getByRole("button", { name: "New secret" }).click();
  await expect(dialog(page, "New secret")).toContainText("This is you.");
  await dialog(page, "New secret").getByRole("button", { name: "New secret" }).click();
  const secret = await readSecret(page, me.user);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.reload();
  await expect(heading(page)).toHaveText(`User ${me.user}`);
  expect(await status(guarded, me)).toBe(401);
  expect(await status(guarded, { ...me, secret })).toBe(200);
});

test("a user who is disabled is out at once, until it is enabled again", async ({ page, browser, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const theirs = await windowOf(browser, guarded, who);
  await open(page, guarded, `access/${who.user}`);
  await page.getByRole("button", { name: "Disable" }).click();
  await isAccessible(page);
  await dialog(page, "Disable").getByRole("button", { name: "Disable" }).click();
  await expect(page.getByRole("region", { name: "User" })).toContainText("disabled");
  expect((await userOf(guarded, who.user)).enabled).toBe(false);

  await expect(heading(theirs)).toHaveText("Log in");
  await theirs.getByRole("textbox", { name: "User" }).fill(who.user);
  await theirs.getByLabel("Secret").fill(who.secret);
  await theirs.getByRole("button", { name: "Log in" }).click();
  await expect(theirs.getByRole("alert").filter({ hasText: "disabled" })).toBeVisible();
  await expect(heading(theirs)).toHaveText("Log in");

  await page.getByRole("button", { name: "Enable" }).click();
  await dialog(page, "Enable").getByRole("button", { name: "Enable" }).click();
  await expect(page.getByRole("button", { name: "Disable" })).toBeVisible();
  await theirs.getByRole("button", { name: "Log in" }).click();
  await expect(heading(theirs)).not.toHaveText("Log in");
  await theirs.context().close();
});

test("a user is made an administrator, and is one no more", async ({ page, browser, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await open(page, guarded, `access/${who.user}`);
  await page.getByRole("button", { name: "Make administrator" }).click();
  await expect(dialog(page, "Make administrator")).toContainText(`${who.user} may do everything then`);
  await dialog(page, "Make administrator").getByRole("button", { name: "Make administrator" }).click();
  await expect(page.getByText("its rules are not looked at")).toBeVisible();
  const theirs = await windowOf(browser, guarded, who);
  await expect(theirs.getByRole("navigation").getByRole("link", { name: "Access" })).toBeVisible();
  await theirs.context().close();
  await page.getByRole("button", { name: "Take administrator away" }).click();
  await dialog(page, "Take administrator away").getByRole("button", { name: "Take administrator away" }).click();
  await expect(page.getByRole("button", { name: "Make administrator" })).toBeVisible();
  expect((await userOf(guarded, who.user)).admin).toBe(false);
});

test("a user is deleted once its name is typed", async ({ page, browser, guarded }) => {
  const who = await makeUser(guarded, SEES);
  const theirs = await windowOf(browser, guarded, who);
  await open(page, guarded, `access/${who.user}`);
  await page.getByRole("button", { name: "Delete user" }).click();
  const asked = dialog(page, "Delete user");
  await asked.getByLabel(`Type ${who.user} to confirm`).fill(who.user.toUpperCase());
  await asked.getByRole("button", { name: "Delete user" }).click();
  await expect(asked).toContainText("That is not the name.");
  await isAccessible(page);
  expect(await userOf(guarded, who.user)).toBeTruthy();
  await asked.getByLabel(`Type ${who.user} to confirm`).fill(who.user);
  await asked.getByRole("button", { name: "Delete user" }).click();
  await expect(heading(page)).toHaveText("Access");
  await expect(page.getByRole("link", { name: who.user, exact: true })).toHaveCount(0);
  await expect(heading(theirs)).toHaveText("Log in");
  expect(await status(guarded, who)).toBe(401);
  await theirs.context().close();
  await page.goto(`${guarded.http()}/console/access/${who.user}`);
  await expect(page.getByText(`There is no user ${who.user}.`)).toBeVisible();
});

test("the last administrator cannot go, and is told so", async ({ page }) => {
  // In the shared cluster there are others.
  const cluster = await Cluster.start(1, { access: true });
  try {
    const { user } = adminOf(cluster);
    await open(page, cluster, `access/${user}`);
    for (const action of ["Disable", "Take administrator away", "Delete user"]) {
      await page.getByRole("button", { name: action }).click();
      const asked = dialog(page, action);
      await expect(asked).toContainText("This is you.");
      await asked.getByLabel(`Type ${user} to confirm`).fill(user);
      await asked.getByRole("button", { name: action }).click();
      await expect(asked.getByRole("alert")).toContainText(`user ${user} is the only administrator`);
      await asked.getByRole("button", { name: "Cancel" }).click();
    }
    expect(await userOf(cluster, user)).toMatchObject({ admin: true, enabled: true });
  } finally {
    await cluster.stop();
  }
});
