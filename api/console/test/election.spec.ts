// A leader is killed while the page watches: it shows the election and goes on.
import { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { row } from "./support/forms";

test("an election is seen, and the page goes on", async ({ page }) => {
  test.setTimeout(240_000);
  const cluster = await Cluster.start(3);
  try {
    await cluster.api("POST", "/topics", { name: "orders", queues: 4 });
    const leader = (await cluster.api("GET", "/cluster")).groups.find((group: any) => group.name === "g1").leader as number;
    const watching = leader === 1 ? 2 : 1;
    await page.goto(`${cluster.http(watching)}/console/cluster/groups/g1`);
    const picture = page.getByRole("img").first();
    await expect(picture).toBeVisible();
    await cluster.kill(leader);
    const now = async () => (await cluster.api("GET", "/cluster", undefined, watching)).groups.find((group: any) => group.name === "g1").leader as number;
    let next = leader;
    await expect.poll(async () => (next = await now()), { timeout: 60_000 }).not.toBe(leader);
    // Nobody for a moment, perhaps.
    await expect.poll(async () => (next = await now()), { timeout: 60_000 }).toBeGreaterThan(0);
    await expect(page.getByText(new RegExp(`term \\d+: .*node${next} leads`, "i")).first()).toBeVisible();
    // The rest of the console goes on, from this node.
    await page.goto(`${cluster.http(watching)}/console/cluster`);
    const killed = row(page, "Nodes", `node${leader}`);
    await expect(killed.getByText("down", { exact: true })).toBeVisible();
    await cluster.restart(leader);
    await expect(killed.getByText("up", { exact: true })).toBeVisible({ timeout: 60_000 });
  } finally {
    await cluster.stop();
  }
});

test("a leader that has lost its majority is told as one that leads nobody", async ({ page }) => {
  test.setTimeout(240_000);
  const cluster = await Cluster.start(3);
  try {
    const leader = (await cluster.api("GET", "/cluster")).groups.find((group: any) => group.name === "g1").leader as number;
    const others = [1, 2, 3].filter((id) => id !== leader);
    await page.goto(`${cluster.http(leader)}/console/cluster/groups/g1`);
    const role = row(page, "Replicas", `node${leader}`);
    await expect(role.getByText("leader", { exact: true })).toBeVisible();
    for (const id of others) await cluster.kill(id);
    await expect(role.getByText("unheard", { exact: true })).toBeVisible({ timeout: 60_000 });
    await expect(page.getByText("nobody leads").first()).toBeVisible();
    for (const id of others) await cluster.restart(id);
    // It leads on, or another one does.
    await expect(page.getByText(/term \d+: node\d leads( again|;)/).first()).toBeVisible({ timeout: 60_000 });
    await expect(page.getByText("unheard", { exact: true })).toHaveCount(0);
  } finally {
    await cluster.stop();
  }
});

test("when the node that serves the page dies, the page says where to go on", async ({ page }) => {
  test.setTimeout(240_000);
  const cluster = await Cluster.start(3);
  try {
    await page.goto(`${cluster.http(3)}/console/topics`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await cluster.kill(3);
    const other = page.locator(`a[href="${cluster.http(1)}/console/topics"]`);
    await expect(other).toBeVisible();
    await other.click();
    await expect(page).toHaveURL(`${cluster.http(1)}/console/topics`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  } finally {
    await cluster.stop();
  }
});
