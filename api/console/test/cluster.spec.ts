// What is done with the cluster itself: who leads, who votes, how many groups there are. It is a cluster of its own.
import type { Page } from "@playwright/test";
import { Cluster } from "./support/cluster";
import { expect, test as base } from "./support/fixtures";
import { expectWrong, fact, row } from "./support/forms";

interface Group {
  name: string;
  leader: number;
  voters: number[];
}

const test = base.extend<object, { own: Cluster }>({
  own: [
    async ({}, use) => {
      const cluster = await Cluster.start(3);
      await use(cluster);
      await cluster.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
});

async function groups(cluster: Cluster): Promise<Group[]> {
  return (await cluster.api("GET", "/cluster")).groups;
}

async function group(cluster: Cluster, name: string): Promise<Group> {
  const found = (await groups(cluster)).find((it) => it.name === name);
  if (!found) throw new Error(`there is no group ${name}`);
  return found;
}

/** How many broker groups each node leads, by descending number. */
async function led(cluster: Cluster): Promise<number[]> {
  const brokers = (await groups(cluster)).filter((it) => it.name !== "meta");
  return [1, 2, 3].map((node) => brokers.filter((it) => it.leader === node).length).sort((one, other) => other - one);
}

/** Has a node lead a group. Right after an election it may have to be asked again. */
async function lead(cluster: Cluster, name: string, node: number): Promise<void> {
  await expect(async () => {
    if ((await group(cluster, name)).leader !== node) await cluster.api("POST", `/cluster/groups/${name}/transfer`, { to: `${node}` });
  }).toPass({ timeout: 30_000 });
}

/** Gives a vote or takes it, however many calls it needs. */
async function setVote(cluster: Cluster, name: string, node: number, votes: boolean): Promise<void> {
  const ask = async () => (await cluster.api("POST", `/cluster/groups/${name}/voters`, { node: `${node}`, votes })).done;
  await expect.poll(ask, { timeout: 30_000 }).toBe(true);
}

async function open(page: Page, cluster: Cluster, place: string): Promise<void> {
  await page.goto(`${cluster.http()}/console/${place}`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
}

test("a leadership is transferred", async ({ page, own }) => {
  const { leader } = await group(own, "g1");
  const to = (leader % 3) + 1;
  await open(page, own, "cluster");
  await expect(row(page, "Groups", "g1")).toContainText(`node${leader}`);
  await page.getByRole("button", { name: "Transfer leadership …: g1" }).click();
  const dialog = page.getByRole("dialog", { name: "Transfer the leadership of g1" });
  await expect(dialog).toContainText(`node${leader} leads g1.`);
  const nodes = dialog.getByRole("combobox", { name: "To" });
  await expect(nodes.getByRole("option")).toHaveCount(3);
  await nodes.selectOption(`node${to}`);
  await dialog.getByRole("button", { name: "Transfer leadership" }).click();
  await expect(dialog.getByText(`node${to} leads it now.`)).toBeVisible();
  expect((await group(own, "g1")).leader).toBe(to);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await expect(dialog).toBeHidden();
  await expect(row(page, "Groups", "g1").getByRole("cell").first()).toHaveText(`node${to}`);
});

test("a vote is taken and given back", async ({ page, own }) => {
  await open(page, own, "cluster/groups/g1");
  await expect(fact(page, "Voters that run")).toContainText("3/3");
  await page.getByRole("button", { name: "Take the vote …: node3" }).click();
  const taking = page.getByRole("dialog", { name: "Take the vote of node3 in g1" });
  await expect(taking).toContainText("Of the 2 voters that stay 2 must run.");
  await taking.getByRole("button", { name: "Take the vote" }).click();
  await expect(taking.getByText("node3 has no vote any more.")).toBeVisible();
  expect((await group(own, "g1")).voters).toEqual([1, 2]);
  await taking.getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "Replicas", "node3")).toContainText("learner");
  await expect(page.getByRole("listitem").filter({ hasText: "voters are now node1, node2" })).toHaveCount(1);
  await page.getByRole("button", { name: "Give a vote …: node3" }).click();
  const giving = page.getByRole("dialog", { name: "Give node3 a vote in g1" });
  await giving.getByRole("button", { name: "Give a vote" }).click();
  await expect(giving.getByText("node3 has a vote.")).toBeVisible();
  expect((await group(own, "g1")).voters).toEqual([1, 2, 3]);
  await giving.getByRole("button", { name: "Close" }).last().click();
  await expect(fact(page, "Voters that run")).toContainText("3/3");
});

test("broker groups are added", async ({ page, own }) => {
  const before = (await groups(own)).length;
  await open(page, own, "cluster");
  await page.getByRole("button", { name: "Add broker groups …" }).click();
  const dialog = page.getByRole("dialog", { name: "Add broker groups" });
  const count = dialog.getByRole("spinbutton", { name: "How many" });
  const submit = dialog.getByRole("button", { name: "Add groups" });
  await count.fill("64");
  await dialog.getByRole("checkbox", { name: "node1" }).check();
  await dialog.getByRole("checkbox", { name: "node2" }).check();
  await submit.click();
  await expectWrong(count, "A whole number from 1 to 63.");
  await expect(dialog.getByText("Choose none, one, three or five nodes, not 2.")).toBeVisible();
  expect(await groups(own)).toHaveLength(before);
  await count.fill("1");
  await dialog.getByRole("checkbox", { name: "node2" }).uncheck();
  await submit.click();
  const added = `g${before}`;
  await expect(dialog.getByText(`Added: ${added}.`)).toBeVisible();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "Groups", added)).toContainText("node1");
  await expect.poll(async () => (await group(own, added)).leader).toBe(1);
  expect((await group(own, added)).voters).toEqual([1]);
});

test("leaderships are spread: what the doctor advises, as a plan, with progress", async ({ page, own }) => {
  const { groups: added } = await own.api("POST", "/cluster/groups", { count: 2 });
  const moving = ["g1", ...added];
  for (const name of moving) await expect.poll(async () => (await group(own, name)).leader).not.toBe(0);
  for (const name of moving) await lead(own, name, 1);
  await open(page, own, "doctor");
  await page.getByRole("button", { name: "Examine now" }).click();
  await page.getByRole("link", { name: "Rebalance …" }).click();
  const dialog = page.getByRole("dialog", { name: "Rebalance" });
  const plan = await own.api("GET", "/cluster/rebalance");
  expect(plan.moves.length).toBeGreaterThan(1);
  const says = plan.moves.map((move: any) => `${move.group}: node${move.from} → node${move.to}`);
  await expect(dialog.locator("ol").getByRole("listitem")).toHaveText(says);
  for (const node of plan.nodes) {
    const cells = dialog.getByRole("row").filter({ hasText: node.name }).getByRole("cell");
    await expect(cells).toHaveText([`${node.before}`, `${node.after}`]);
  }
  // Real transfers are too quick to be watched: they have to wait until the first one was seen.
  let go = () => {};
  const seen = new Promise<void>((resolve) => (go = resolve));
  await page.route("**/transfer", async (route) => {
    await seen;
    await route.continue();
  });
  await dialog.getByRole("button", { name: `Move ${says.length} leaderships` }).click();
  await expect(dialog.getByRole("progressbar", { name: "Rebalancing" })).toBeVisible();
  await expect(dialog).toContainText(`0 of ${says.length}`);
  await expect(dialog).toContainText(says[0]);
  go();
  await expect(dialog.getByText(`${says.length} leaderships moved.`)).toBeVisible();
  const now = await led(own);
  expect((now[0] ?? 0) - (now[2] ?? 0), `leads: ${now}`).toBeLessThanOrEqual(1);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("button", { name: "Rebalance …" }).click();
  await expect(dialog.getByText("There is nothing to move.")).toBeVisible();
});

test("a node is not removed by a wrong name", async ({ page, own }) => {
  await open(page, own, "cluster");
  let asked = 0;
  page.on("request", (request) => (asked += request.method() === "DELETE" ? 1 : 0));
  await page.getByRole("button", { name: "Remove …: node3" }).click();
  const dialog = page.getByRole("dialog", { name: "Remove node3" });
  const typed = dialog.getByRole("textbox", { name: "Type node3 to confirm" });
  for (const wrong of ["", "node2", "node33"]) {
    await typed.fill(wrong);
    await dialog.getByRole("button", { name: "Remove node" }).click();
    await expectWrong(typed, "That is not the name.");
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  expect(asked, "requests that remove something").toBe(0);
  expect((await own.api("GET", "/cluster")).nodes).toHaveLength(3);
});

test("the doctor says what the server finds", async ({ page, own }) => {
  // Two voters are no more than one: that needs attention.
  await setVote(own, "meta", 3, false);
  await open(page, own, "doctor");
  const { worst, findings } = await own.api("GET", "/doctor");
  const verdict = { ok: "All is well", warn: "Something needs attention", bad: "Something is wrong" }[worst as "ok" | "warn" | "bad"];
  await expect(page.getByText(verdict)).toBeVisible();
  const rows = page.getByRole("table", { name: "Findings" }).getByRole("rowheader");
  await expect(rows).toHaveCount(findings.length);
  const alerts = findings.filter((finding: any) => finding.level !== "ok");
  expect(alerts.length).toBeGreaterThan(0);
  expect(alerts.length).toBeLessThan(findings.length);
  await page.getByRole("combobox", { name: "Show" }).selectOption("only what needs attention");
  await expect(rows).toHaveCount(alerts.length);
  await expect(page).toHaveURL(/show=alerts/);
  await page.getByRole("combobox", { name: "Show" }).selectOption("all");
  await page.getByRole("searchbox").fill("clocks");
  await expect(rows).toHaveCount(findings.filter((finding: any) => JSON.stringify(finding).includes("clocks")).length);
  await setVote(own, "meta", 3, true);
});

test("the overview shows rates while messages are sent, also as a table", async ({ page, own }) => {
  const sender = own.begin("bench", "send", "--topic", "overview", "--rate", "100", "--seconds", "100", "--connections", "1");
  try {
    await open(page, own, "");
    await expect(fact(page, "Nodes")).toContainText("3/3");
    const incoming = async () => Number.parseFloat((await fact(page, "Messages in").innerText()).replace(",", ""));
    await expect.poll(incoming, { timeout: 30_000 }).toBeGreaterThan(50);
    await expect(fact(page, "Failed")).toContainText(/^0\/s/);
    // A point of the charts is ten seconds.
    await page.getByText("As a table: Messages per second").click();
    const table = page.getByRole("table", { name: "Messages per second" });
    await expect(table.getByRole("columnheader")).toHaveText([/Time/, /in/, /out/]);
    const latest = async () => Number.parseFloat((await table.getByRole("row").nth(1).getByRole("cell").first().innerText()).replace(",", ""));
    await expect.poll(latest, { timeout: 45_000 }).toBeGreaterThan(50);
    await expect(page.getByRole("figure").filter({ hasText: "Messages per second" }).locator("canvas")).toBeVisible();
    await expect(page.getByRole("figure").filter({ hasText: "Messages per second" }).getByRole("listitem").first()).toContainText(/in.*\/s/);
  } finally {
    sender.kill();
  }
});
