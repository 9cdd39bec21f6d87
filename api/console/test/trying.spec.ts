// A message is tried with a consumer that is connected, and does what it is asked to.
import type { Locator, Page } from "@playwright/test";
import { makeGroup, makeTopic, send } from "./support/broker";
import type { Cluster } from "./support/cluster";
import { expect, isAccessible, test } from "./support/fixtures";
import { ClientConnection } from "./support/grpc-client";

/** What the protocol says of a consumer that failed. */
const FAILED = { code: 60_000, message: "no stock left" };
const WELL = { code: 20_000, message: "OK" };

async function openVerify(page: Page, cluster: Cluster, id: string, topic: string, group: string): Promise<Locator> {
  await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}&group=${group}`);
  return page.getByRole("region", { name: "Try it with a consumer" });
}

test("a consumer that is chosen consumes it, and says how that went", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic, { body: "seven apples" });
  // Not at the node that is asked.
  const clients = await ClientConnection.open(cluster.grpc(2));
  try {
    const tried: string[] = [];
    const consumer = (name: string, says: typeof WELL) =>
      clients.add({ id: `${group}-${name}`, kind: "push_consumer", group, topics: [{ name: topic }], tries: (body) => (tried.push(`${name}: ${body}`), says) });
    await consumer("good", WELL);
    await consumer("bad", FAILED);
    const verify = await openVerify(page, cluster, id, topic, group);
    await expect(verify.getByLabel("Client").getByRole("option")).toHaveCount(3);

    await verify.getByLabel("Client").selectOption(`${group}-good`);
    await verify.getByRole("button", { name: "Consume it now" }).click();
    await expect(verify.getByRole("status")).toHaveText(`Consumed well ${group}-good: 20000 OK`);
    expect(tried).toEqual(["good: seven apples"]);

    await verify.getByLabel("Client").selectOption(`${group}-bad`);
    await verify.getByRole("button", { name: "Consume it now" }).click();
    await expect(verify.getByRole("status")).toHaveText(`Not consumed ${group}-bad: 60000 The consumer failed at it. no stock left`);
    expect(tried).toEqual(["good: seven apples", "bad: seven apples"]);
    await isAccessible(page);
  } finally {
    await clients.close();
  }
  // Nothing is leased or settled by it.
  const received = await cluster.command("receive", topic, "--group", group);
  expect(received).toMatchObject({ message_id: id, attempt: 1 });
});
