// Rules of a user: added, changed, deleted, and asked about: may the user do that, and which rule decides?
import type { Page } from "@playwright/test";
import { unique } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, isAccessible, logIn, test } from "./support/fixtures";
import { adminOf, makeUser, type Rule } from "./support/people";

const dialog = (page: Page, name: string) => page.getByRole("dialog", { name });
const rows = (page: Page) => page.getByRole("table", { name: "Rules" }).locator("tbody").getByRole("row");
const tryIt = (page: Page) => page.getByRole("region", { name: "Try it" });

/** Opens the page of a new user with such rules; answers its name. */
async function open(page: Page, cluster: Cluster, rules: Rule[] = []): Promise<string> {
  const { user } = await makeUser(cluster, rules);
  const admin = adminOf(cluster);
  await logIn(page, cluster.http(), admin.user, admin.secret);
  await page.goto(`${cluster.http()}/console/access/${user}`);
  await expect(page.getByRole("region", { name: "Rules" })).toBeVisible();
  return user;
}

const rulesOf = async (cluster: Cluster, user: string): Promise<Rule[]> => (await cluster.api("GET", `/users?name=${user}`)).users[0].rules;

test("a rule is added; what is wrong is said, and what was typed stays", async ({ page, guarded }) => {
  const user = await open(page, guarded);
  await expect(page.getByText("Without rules the user may do nothing.")).toBeVisible();
  await page.getByRole("button", { name: "Add rule" }).click();
  const form = dialog(page, "Add rule");
  const submit = form.getByRole("button", { name: "Add rule" });
  await submit.click();
  await expect(form.getByLabel("Name")).toBeFocused();
  await expect(form.getByText("Choose one action at least.")).toBeVisible();
  await isAccessible(page);

  await form.getByLabel("Name").fill("or ders");
  await form.getByRole("checkbox", { name: "publish" }).check();
  await form.getByRole("checkbox", { name: "get" }).check();
  await submit.click();
  await expect(form.getByRole("alert").last()).toContainText('"topic:or ders" is no resource');
  await form.getByLabel("Name").fill("orders*");
  await form.getByLabel("From").fill("10.0.0.0/8, nonsense");
  await submit.click();
  await expect(form.getByRole("alert").last()).toContainText('"nonsense" is no network');
  await expect(form.getByLabel("Name")).toHaveValue("orders*");
  await expect(form.getByRole("checkbox", { name: "publish" })).toBeChecked();
  expect(await rulesOf(guarded, user)).toEqual([]);

  await form.getByLabel("From").fill("10.0.0.0/8\n127.0.0.1");
  await expect(form).toContainText("It is written topic:orders*");
  await submit.click();
  await expect(page.getByText("The rule counts from now on.")).toBeVisible();
  await expect(rows(page)).toHaveCount(1);
  for (const text of ["topic:orders*", "allow", "publish, get", "10.0.0.0/8"]) await expect(rows(page).first()).toContainText(text);
  const [rule] = await rulesOf(guarded, user);
  expect(rule).toMatchObject({ resource: "topic:orders*", actions: ["publish", "get"], deny: false });
  expect(rule?.sources).toHaveLength(2);

  // The same once more would change it unseen.
  await page.getByRole("button", { name: "Add rule" }).click();
  await form.getByLabel("Name").fill("orders*");
  await form.getByRole("checkbox", { name: "delete" }).check();
  await submit.click();
  await expect(form.getByRole("alert").last()).toContainText("topic:orders*");
  expect(await rulesOf(guarded, user)).toEqual([rule]);
});

test("rules of each kind are added as they are written", async ({ page, guarded }) => {
  const user = await open(page, guarded);
  for (const [kind, resource] of [["Consumer group", "group:workers"], ["Namespace", "namespace:shop"], ["Cluster", "cluster:local"], ["Everything", "*"]] as const) {
    await page.getByRole("button", { name: "Add rule" }).click();
    const form = dialog(page, "Add rule");
    await form.getByLabel("Kind of resource").selectOption(kind);
    if (resource !== "*") await form.getByLabel("Name").fill(resource.split(":")[1] ?? "");
    await form.getByLabel("Effect").selectOption("deny");
    await form.getByRole("checkbox", { name: "list" }).check();
    await form.getByRole("button", { name: "Add rule" }).click();
    await expect(form).toHaveCount(0);
    await expect(rows(page).filter({ has: page.getByText(resource, { exact: true }) })).toContainText("deny");
  }
  const rules = await rulesOf(guarded, user);
  expect(rules.map((rule) => rule.resource).sort()).toEqual(["*", "cluster:local", "group:workers", "namespace:shop"]);
  expect(rules.every((rule) => rule.deny)).toBe(true);
});

test("a rule is changed and deleted", async ({ page, guarded }) => {
  const user = await open(page, guarded, [
    { resource: "topic:orders", actions: ["publish", "get"], sources: ["10.0.0.0/8"] },
    { resource: "topic:orders", actions: ["get"], deny: true },
    { resource: "group:workers", actions: ["subscribe"] },
  ]);
  await expect(rows(page)).toHaveCount(3);
  const allows = rows(page).filter({ hasText: "topic:orders" }).filter({ hasText: "allow" });
  await allows.getByRole("button", { name: "Change the rule for topic:orders" }).click();
  const form = dialog(page, "Change rule");
  await expect(form.getByRole("checkbox", { name: "publish" })).toBeChecked();
  await expect(form.getByLabel("From")).toHaveValue("10.0.0.0/8");
  await isAccessible(page);
  await form.getByRole("checkbox", { name: "publish" }).uncheck();
  await form.getByRole("checkbox", { name: "get" }).uncheck();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form.getByText("Choose one action at least.")).toBeVisible();
  await form.getByRole("checkbox", { name: "subscribe" }).check();
  await form.getByLabel("From").fill("");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(allows).toContainText("subscribe");
  await expect(allows).toContainText("everywhere");
  const changed = (await rulesOf(guarded, user)).find((rule) => rule.resource === "topic:orders" && !rule.deny);
  expect(changed).toMatchObject({ actions: ["subscribe"], sources: [] });

  // Only this one of the two for the topic.
  await allows.getByRole("button", { name: "Delete the rule for topic:orders" }).click();
  const asked = dialog(page, "Delete rule");
  await expect(asked).toContainText("allow topic:orders: subscribe");
  await isAccessible(page);
  await asked.getByRole("button", { name: "Cancel" }).click();
  expect(await rulesOf(guarded, user)).toHaveLength(3);
  await allows.getByRole("button", { name: "Delete the rule for topic:orders" }).click();
  await asked.getByRole("button", { name: "Delete rule" }).click();
  await expect(rows(page)).toHaveCount(2);
  const left = await rulesOf(guarded, user);
  expect(left.map((rule) => [rule.resource, rule.deny])).toEqual(expect.arrayContaining([["topic:orders", true], ["group:workers", false]]));
});

test("a rule that is gone meanwhile is not made anew by changing it", async ({ page, guarded }) => {
  const user = await open(page, guarded, [{ resource: "topic:orders", actions: ["get"] }]);
  await rows(page).getByRole("button", { name: "Change the rule for topic:orders" }).click();
  await guarded.api("DELETE", `/users/${user}/rules?resource=topic:orders`);
  const form = dialog(page, "Change rule");
  await form.getByRole("checkbox", { name: "delete" }).check();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form.getByRole("alert").last()).toContainText("topic:orders");
  await expect(form.getByRole("checkbox", { name: "delete" })).toBeChecked();
  expect(await rulesOf(guarded, user)).toEqual([]);
});

test("may the user do that? Both ways, with the rule that decides", async ({ page, guarded }) => {
  const user = await open(page, guarded, [
    { resource: "topic:*", actions: ["publish", "get"] },
    { resource: "topic:secret*", actions: ["publish"], deny: true },
    { resource: "group:workers", actions: ["subscribe"], sources: ["10.0.0.0/8"] },
  ]);
  const answer = tryIt(page).getByRole("status");
  const ask = async (action: string, kind: string, name: string, source = "") => {
    await tryIt(page).getByLabel("Action").selectOption(action);
    await tryIt(page).getByLabel("Kind of resource").selectOption(kind);
    await tryIt(page).getByLabel("Name").fill(name);
    await tryIt(page).getByLabel("From the address").fill(source);
    await tryIt(page).getByRole("button", { name: "Try it" }).click();
  };
  await tryIt(page).getByRole("button", { name: "Try it" }).click();
  await expect(tryIt(page).getByLabel("Name")).toHaveAttribute("aria-invalid", "true");

  await ask("publish", "Topic", "orders");
  await expect(answer).toContainText("Yes, it may");
  await expect(answer).toContainText(`${user}: publish on topic:orders from 127.0.0.1`);
  await expect(answer).toContainText("The rule that decides: allow topic:*: publish, get; everywhere");
  await isAccessible(page);

  await ask("publish", "Topic", "secret-plans");
  await expect(answer).toContainText("No, it may not");
  await expect(answer).toContainText("The rule that decides: deny topic:secret*: publish; everywhere");

  await ask("delete", "Topic", "orders");
  await expect(answer).toContainText("No, it may not");
  await expect(answer).toContainText("no rule speaks of it");
  await expect(answer).not.toContainText("The rule that decides");

  await ask("subscribe", "Consumer group", "workers", "10.1.2.3");
  await expect(answer).toContainText("Yes, it may");
  // Written as it stands in the address, it can be passed on.
  await page.reload();
  await expect(answer).toContainText("from 10.1.2.3");
  await expect(tryIt(page).getByLabel("From the address")).toHaveValue("10.1.2.3");
  await ask("subscribe", "Consumer group", "workers", "192.168.0.1");
  await expect(answer).toContainText("No, it may not");

  await ask("get", "Topic", "orders", "somewhere");
  await expect(tryIt(page).getByRole("alert").filter({ hasText: "did not work" })).toContainText('"somewhere" is no address');
  await expect(tryIt(page).getByLabel("From the address")).toHaveValue("somewhere");
});

test("a rule counts at once for who is logged in", async ({ page, guarded }) => {
  const topic = unique("topic");
  await guarded.api("POST", "/topics", { name: topic, queues: 1 });
  const who = await makeUser(guarded, [{ resource: `topic:${topic}`, actions: ["get", "list"] }]);
  await logIn(page, guarded.http(), who.user, who.secret);
  await page.goto(`${guarded.http()}/console/topics/${topic}`);
  await expect(page.getByRole("tab", { name: "Queues" })).toBeVisible();
  await guarded.api("DELETE", `/users/${who.user}/rules?resource=topic:${topic}`);
  await page.goto(`${guarded.http()}/console/topics`);
  await expect(page.getByText("There is no topic yet")).toBeVisible();
  await page.goto(`${guarded.http()}/console/topics/${topic}`);
  await expect(page.getByRole("alert").first()).toContainText(who.user);
});
