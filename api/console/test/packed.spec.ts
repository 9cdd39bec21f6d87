// Bodies that clients compressed: brokers never unpack them, the page does, within a bound.
import { gzipSync } from "node:zlib";
import type { Page } from "@playwright/test";
import { makeTopic } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { sendAsGzip } from "./support/grpc-send";

async function openMessage(page: Page, cluster: Cluster, body: Buffer): Promise<void> {
  const topic = await makeTopic(cluster);
  const id = await sendAsGzip(cluster.grpc(), topic, body);
  await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
}

test("a packed body is shown unpacked", async ({ page, cluster }) => {
  await openMessage(page, cluster, gzipSync(JSON.stringify({ order: 7, state: "paid" })));
  await expect(page.locator("pre.body")).toContainText('"order": 7');
  await expect(page.getByText("compressed with gzip, shown unpacked")).toBeVisible();
});

test("a bomb is unpacked up to a bound, and the page goes on", async ({ page, cluster }) => {
  const bomb = gzipSync(Buffer.alloc(512 << 20, "a"));
  expect(bomb.length).toBeLessThan(1 << 20);
  await openMessage(page, cluster, bomb);
  await expect(page.getByText("Only the first 8 MiB were unpacked.")).toBeVisible();
  await page.getByRole("button", { name: "Hex" }).click();
  await expect(page.locator("pre.body")).toContainText("61 61 61 61");
});

test("what only says that it is packed is shown as it is", async ({ page, cluster }) => {
  await openMessage(page, cluster, Buffer.from("plain after all"));
  await expect(page.locator("pre.body")).toHaveText("plain after all");
  await expect(page.getByText("but it is not. It is shown as it is.")).toBeVisible();
});
