// A replica moves to another node, a rebalance is stopped halfway, the feature level is looked at, and a node that is down is removed.
// It is a cluster of its own, of four nodes.
import type { Page } from "@playwright/test";
import { Cluster } from "./support/cluster";
import { expect, isAccessible, test as base } from "./support/fixtures";
import { expectWrong, fact, row } from "./support/forms";

interface Group {
  name: string;
  leader: number;
  voters: number[];
  placed: number[];
}

const test = base.extend<object, { own: Cluster }>({
  own: [
    async ({}, use) => {
      const cluster = await Cluster.start(4);
      await use(cluster);
      await cluster.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
});

async function group(cluster: Cluster, name: string): Promise<Group> {
  const { groups } = await cluster.api("GET", "/cluster");
  return groups.find((it: Group) => it.name === name);
}

/** Adds groups, and waits until they are led. */
async function addGroups(cluster: Cluster, request: { count: number; nodes?: string[] }): Promise<string[]> {
  const { groups } = await cluster.api("POST", "/cluster/groups", request);
  for (const name of groups) await expect.poll(async () => (await group(cluster, name)).leader, { timeout: 30_000 }).not.toBe(0);
  return groups;
}

async function open(page: Page, cluster: Cluster, place: string): Promise<void> {
  await page.goto(`${cluster.http()}/console/${place}`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
}

test("a replica is moved to another node, with what is in it", async ({ page, own }) => {
  const [name = ""] = await addGroups(own, { count: 1, nodes: ["1"] });
  await own.api("POST", "/topics", { name: "moving", queues: 4 });
  for (let number = 0; number < 8; number++) await own.api("POST", "/topics/moving/messages", { body: "eA==", keys: ["all"] });

  await open(page, own, "cluster/groups/g1");
  const nowhere = page.getByRole("button", { name: "Move replica …" });
  await expect(nowhere).toHaveAttribute("aria-disabled", "true");
  await expect(nowhere).toHaveAttribute("title", /g1 is held by all nodes/);

  await open(page, own, `cluster/groups/${name}`);
  await page.getByRole("button", { name: "Move replica …: node1" }).click();
  const dialog = page.getByRole("dialog", { name: `Move a replica of ${name}` });
  const [from, to] = [dialog.getByRole("combobox", { name: "From" }), dialog.getByRole("combobox", { name: "To" })];
  await expect(from).toHaveValue("1");
  await expect(to.getByRole("option")).toHaveText(["Choose a node", "node2", "node3", "node4"]);
  await dialog.getByRole("button", { name: "Move replica" }).click();
  await expectWrong(to, "Choose a node.");
  await isAccessible(page);
  await to.selectOption("node3");
  await dialog.getByRole("button", { name: "Move replica" }).click();
  await expect(dialog.getByText(`node3 holds ${name} now.`)).toBeVisible({ timeout: 60_000 });
  const moved = await group(own, name);
  expect([moved.placed, moved.voters]).toEqual([[3], [3]]);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "Replicas", "node3")).toContainText("leader");
  await expect(row(page, "Replicas", "node1")).toHaveCount(0);
  await expect(fact(page, "Voters that run")).toContainText("1/1");
  expect((await own.api("GET", "/messages?topic=moving&key=all")).messages).toHaveLength(8);
});

test("a rebalance moves replicas first, then leaderships", async ({ page, own }) => {
  await addGroups(own, { count: 2, nodes: ["1"] });
  await open(page, own, "cluster?do=rebalance");
  const dialog = page.getByRole("dialog", { name: "Rebalance" });
  const { replicas, moves, nodes } = await own.api("GET", "/cluster/rebalance");
  expect(replicas.length).toBeGreaterThan(0);
  const says = (before: string) => (move: any) => `${before}${move.group}: node${move.from} → node${move.to}`;
  await expect(dialog.locator("ol").getByRole("listitem")).toHaveText([...replicas.map(says("Replica of ")), ...moves.map(says(""))]);
  for (const node of nodes) {
    const cells = dialog.getByRole("row").filter({ hasText: node.name }).getByRole("cell");
    await expect(cells).toHaveText([node.placed_before, node.placed_after, node.before, node.after].map(String));
  }
  await isAccessible(page);
  await dialog.getByRole("button", { name: /^Move \d+ replica/ }).click();
  await expect(dialog.getByText(/ moved\.$/)).toBeVisible({ timeout: 60_000 });
  for (const move of replicas) expect((await group(own, move.group)).placed).toEqual([move.to]);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("button", { name: "Rebalance …" }).click();
  await expect(dialog.getByText("There is nothing to move.")).toBeVisible();
});

test("a rebalance that is stopped halfway leaves the rest as it is, and says how far it came", async ({ page, own }) => {
  const added = await addGroups(own, { count: 3 });
  const leaders = async () => Promise.all(added.map(async (name) => (await group(own, name)).leader));
  for (const name of added) {
    await expect(async () => {
      if ((await group(own, name)).leader !== 1) await own.api("POST", `/cluster/groups/${name}/transfer`, { to: "1" });
    }).toPass({ timeout: 30_000 });
  }
  await expect.poll(leaders).toEqual([1, 1, 1]);
  await open(page, own, "cluster?do=rebalance");
  const dialog = page.getByRole("dialog", { name: "Rebalance" });
  const { moves } = await own.api("GET", "/cluster/rebalance");
  expect(moves.length).toBeGreaterThan(1);
  // The first transfer is held back until somebody wants it to stop.
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  const asked: string[] = [];
  await page.route("**/transfer", async (route) => {
    asked.push(route.request().url());
    await held;
    await route.continue();
  });
  await dialog.getByRole("button", { name: `Move ${moves.length} leaderships` }).click();
  await expect(dialog).toContainText(`0 of ${moves.length}`);
  await isAccessible(page);
  const stop = dialog.getByRole("button", { name: "Stop" });
  await stop.click();
  await expect(stop).toHaveAttribute("title", "It stops after the call that is under way.");
  go();
  await expect(dialog.getByRole("status")).toHaveText(`Stopped. What was done until then stays done. 1 of ${moves.length}`);
  expect(asked).toHaveLength(1);
  for (const [at, move] of moves.entries()) {
    const leader = (await group(own, move.group)).leader;
    expect(leader, move.group).toBe(at === 0 ? move.to : move.from);
  }
  // What is left can be done at once.
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("button", { name: "Rebalance …" }).click();
  await expect(dialog.locator("ol").getByRole("listitem")).toHaveCount(moves.length - 1);
});

test("the feature level is as high as it can be; one that somebody raised meanwhile is not raised again", async ({ page, own }) => {
  await open(page, own, "cluster?do=feature-level");
  const dialog = page.getByRole("dialog", { name: "Raise the feature level" });
  const { cluster, feature_level: level, nodes } = await own.api("GET", "/cluster");
  await expect(dialog).toContainText(`The level is ${level}, as high as all nodes can read.`);
  await expect(dialog.getByRole("listitem")).toHaveText(nodes.map((node: any) => `${node.name} runs ${node.version} and reads up to level ${level}`));
  await expect(dialog.getByRole("textbox")).toHaveCount(0);
  await isAccessible(page);

  // A page that has not heard of it: its stream is cut off, and what it loads is older.
  await page.route("**/api/v1/events", (route) => route.abort());
  await page.route("**/api/v1/cluster", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), feature_level: 1 } });
  });
  await page.reload();
  await expect(dialog).toContainText(`The cluster goes from level 1 to ${level}`);
  await isAccessible(page);
  const raise = dialog.getByRole("button", { name: "Raise", exact: true });
  await raise.click();
  const typed = dialog.getByRole("textbox", { name: `Type ${cluster} to confirm` });
  await expectWrong(typed, "That is not the name.");
  await typed.fill(cluster);
  await raise.click();
  await expect(dialog.getByText(`The level is ${level} already.`)).toBeVisible();
});

test("a node that is down is removed once its name is typed", async ({ page, own }) => {
  await own.kill(4);
  await open(page, own, "cluster");
  await expect(row(page, "Nodes", "node4").getByText("down", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Remove …: node4" }).click();
  const dialog = page.getByRole("dialog", { name: "Remove node4" });
  await dialog.getByRole("textbox", { name: "Type node4 to confirm" }).fill("node4");
  await dialog.getByRole("button", { name: "Remove node" }).click();
  await expect(dialog.getByText("node4 is not in the cluster any more.")).toBeVisible({ timeout: 60_000 });
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "Nodes", "node4")).toHaveCount(0);
  await expect(fact(page, "Nodes")).toContainText("3/3");
  const { nodes, groups } = await own.api("GET", "/cluster");
  expect(nodes.map((node: any) => node.id)).toEqual([1, 2, 3]);
  for (const { name, voters } of groups) expect(voters, name).not.toContain(4);
});
