// What tests begin with: clusters that are started once, and a page that fails a test when something goes wrong in it.
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect, test as base, type Page } from "@playwright/test";
import { Cluster } from "./cluster";

interface Fixtures {
  /** Fails the test when the page has an uncaught error, or breaks its own security policy. */
  page: Page;
}

interface WorkerFixtures {
  /** Three nodes without access control. Tests share it: they make things under names of their own, and kill nothing. */
  cluster: Cluster;
  /** One node that controls access. */
  guarded: Cluster;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  cluster: [
    async ({}, use) => {
      const cluster = await Cluster.start(3);
      await use(cluster);
      await cluster.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  guarded: [
    async ({}, use) => {
      const cluster = await Cluster.start(1, { access: true });
      await use(cluster);
      await cluster.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  page: async ({ page }, use) => {
    const built = process.env["CONSOLE_DIST"];
    // What `build.mjs --out DIR` wrote, in place of what is in the binary.
    if (built) await page.route(/\/console\/(app|start)\.(js|css)$/, (route) => route.fulfill({ path: join(built, new URL(route.request().url()).pathname.split("/").at(-1) ?? "") }));
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && message.text().includes("Content Security Policy")) wrong.push(message.text());
    });
    await use(page);
    expect(wrong, "errors in the page").toEqual([]);
  },
});

export { expect };

/** What axe finds that hinders somebody: nothing may be left. */
export async function isAccessible(page: Page): Promise<void> {
  const found = await new AxeBuilder({ page }).analyze();
  const serious = found.violations.filter((it) => it.impact === "serious" || it.impact === "critical");
  expect(serious.map((it) => `${it.id}: ${it.nodes.map((node) => node.target).join(", ")}`)).toEqual([]);
}

/** Logs in by the page. */
export async function logIn(page: Page, at: string, user: string, secret: string): Promise<void> {
  await page.goto(`${at}/console/login`);
  await page.getByLabel("User", { exact: false }).first().fill(user);
  await page.getByLabel("Secret", { exact: false }).first().fill(secret);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("heading", { level: 1 })).not.toHaveText("Log in");
}
