// Every page: there, accessible, in light, dark and on a phone. The screenshots are what a person looks at afterwards.
import { join } from "node:path";
import type { Locator, Page } from "@playwright/test";
import { unique } from "./support/broker";
import { expect, isAccessible, test } from "./support/fixtures";
import { places, seed } from "./support/places";

const WIDE = 1280;
const LOOKS = [
  { look: "light", scheme: "light", width: WIDE },
  { look: "dark", scheme: "dark", width: WIDE },
  { look: "phone", scheme: "light", width: 360 },
] as const;

async function shoot(page: Page, name: string, look: string): Promise<void> {
  const directory = process.env["CONSOLE_ARTIFACTS"] ?? "../../target/console";
  await page.screenshot({ path: join(directory, "screenshots", `${name}-${look}.png`), fullPage: true });
}

test("every page is there and accessible, in light, dark and on a phone", async ({ page, cluster }) => {
  test.setTimeout(600_000);
  const id = await seed(cluster);
  // So that there is something to draw; the overview comes last.
  const load = cluster.command("bench", "send", "--topic", "orders", "--rate", "200", "--seconds", "30");
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const [name, place] of places(id)) {
    await test.step(name, async () => {
      await page.setViewportSize({ width: WIDE, height: 900 });
      await page.goto(`${cluster.http()}/console/${place}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await expect(page.getByText("Loading", { exact: false })).toHaveCount(0);
      for (const { look, scheme, width } of LOOKS) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.setViewportSize({ width, height: 900 });
        await isAccessible(page);
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect(sideways, "nothing sticks out sideways").toBeLessThanOrEqual(0);
        await shoot(page, name, look);
      }
    });
  }
  await load;
});

test.describe("for somebody whose browser asks for Chinese", () => {
  test.use({ locale: "zh-CN" });

  test("it speaks Chinese", async ({ page, cluster }) => {
    await page.goto(`${cluster.http()}/console/topics`);
    await expect(page.locator("html")).toHaveAttribute("lang", /^zh/);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(/[\u4e00-\u9fff]/);
    await isAccessible(page);
    await shoot(page, "topics", "chinese");
  });
});

/** Presses the key until something has the focus, which must not get lost on the way. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement)) return;
    // Behind the last thing of the page it would be the browser's turn.
    await expect(page.locator("body"), "the focus is on something").not.toBeFocused();
  }
  throw new Error("it cannot be reached");
}

test("it is used without a mouse", async ({ page, cluster }) => {
  const name = unique("typed");
  await page.goto(`${cluster.http()}/console/`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await tabTo(page, page.getByRole("link", { name: "Skip to the content" }));
  await tabTo(page, page.getByRole("navigation").getByRole("link", { name: "Topics" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Topics" })).toBeFocused();
  const create = page.getByRole("button", { name: "Create topic" }).first();
  await tabTo(page, create);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Create topic" });
  await expect(dialog.getByRole("textbox", { name: /^Name/ })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(create).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name })).toBeFocused();
  await page.getByRole("tab", { name: "Overview" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: /^Queues/ })).toBeFocused();
  await expect(page.getByRole("table", { name: "Queues of the topic" })).toBeVisible();
});

test("whoever skips to the content goes on there", async ({ page, cluster }) => {
  await page.goto(`${cluster.http()}/console/topics`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("main").locator(":focus")).toHaveCount(1);
});
