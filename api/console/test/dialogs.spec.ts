// Dialogs that ask before something is done: each has an address, is accessible, fits a phone, and lets one go back.
import { makeGroup, makeTopic, send } from "./support/broker";
import { expect, isAccessible, test } from "./support/fixtures";

test("each dialog is accessible, fits a phone, and is left without doing anything", async ({ page, cluster }) => {
  test.setTimeout(240_000);
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  await send(cluster, topic);
  const asked: string[] = [];
  page.on("request", (request) => request.method() !== "GET" && asked.push(`${request.method()} ${request.url()}`));
  const dialogs = [
    ["cluster", "do=remove-node&node=3", "Remove node3"],
    ["cluster", "do=add-groups", "Add broker groups"],
    ["cluster", "do=transfer&of=g1", "Transfer the leadership of g1"],
    ["cluster/groups/g1", "do=vote&node=2", "Take the vote of node2 in g1"],
    [`topics/${topic}`, "do=delete", `Delete topic ${topic}`],
    [`topics/${topic}`, "do=change", `Change topic ${topic}`],
    [`groups/${group}`, "do=pause", `Pause ${group}`],
    [`groups/${group}`, "do=delete", `Delete consumer group ${group}`],
  ] as const;
  for (const [place, query, title] of dialogs) {
    await test.step(title, async () => {
      await page.setViewportSize({ width: 360, height: 800 });
      await page.goto(`${cluster.http()}/console/${place}?${query}`);
      const dialog = page.getByRole("dialog", { name: title });
      await expect(dialog).toBeVisible();
      await expect(dialog.locator(":focus")).toHaveCount(1);
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        await isAccessible(page);
      }
      const sideways = await dialog.evaluate((element) => Math.max(element.scrollWidth - element.clientWidth, element.getBoundingClientRect().right - window.innerWidth));
      expect(sideways, "nothing sticks out sideways").toBeLessThanOrEqual(0);
      await page.keyboard.press("Escape");
      await expect(dialog).toHaveCount(0);
      await expect(page).toHaveURL(`${cluster.http()}/console/${place}`);
    });
  }
  expect(asked).toEqual([]);
});
