// Every page in Chinese: its title, without errors, accessible, and as wide as a phone.
import type { Page } from "@playwright/test";
import { makeTopic, unique } from "./support/broker";
import { expect, isAccessible, test } from "./support/fixtures";
import { adminOf, makeUser, SEES } from "./support/people";
import { places, seed } from "./support/places";

test.use({ locale: "zh-CN", viewport: { width: 360, height: 900 } });

/** What is written on top of each page; things that people named have their names. */
const TITLES: Record<string, string> = {
  cluster: "集群",
  "group-of-replicas": "组 g1",
  topics: "主题",
  topic: "orders",
  "topic-queues": "orders",
  groups: "消费者组",
  group: "billing",
  messages: "消息",
  message: "消息",
  "dead-letters": "死信",
  "dead-letters-of-a-group": "billing 的死信",
  timers: "定时消息",
  transactions: "事务",
  access: "访问控制",
  doctor: "诊断",
  overview: "概览",
};

async function expectChinese(page: Page, title: string): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(title);
  await expect(page.locator("html")).toHaveAttribute("lang", "zh-Hans");
  await expect(page.getByText("正在加载")).toHaveCount(0);
  await isAccessible(page);
  const sideways = await page.evaluate(() => (document.scrollingElement?.scrollWidth ?? 0) - window.innerWidth);
  expect(sideways, "nothing sticks out sideways").toBeLessThanOrEqual(0);
}

test("every page speaks Chinese, and fits a phone", async ({ page, cluster }) => {
  test.setTimeout(300_000);
  const id = await seed(cluster);
  for (const [name, place] of places(id)) {
    // Where access is not controlled it leads on.
    if (name === "login") continue;
    await test.step(name, async () => {
      await page.goto(`${cluster.http()}/console/${place}`);
      await expectChinese(page, TITLES[name] ?? "");
    });
  }
});

test("so do the login and the pages of users", async ({ page, guarded }) => {
  const who = await makeUser(guarded, SEES);
  await page.goto(`${guarded.http()}/console/access`);
  await expectChinese(page, "登录");
  const admin = adminOf(guarded);
  await page.getByLabel("用户").fill(admin.user);
  await page.getByLabel("密钥口令").fill(admin.secret);
  await page.getByRole("button", { name: "登录" }).click();
  await expectChinese(page, "访问控制");
  await page.goto(`${guarded.http()}/console/access/${who.user}`);
  await expectChinese(page, `用户 ${who.user}`);
});

test("what nodes say is said in Chinese", async ({ page, cluster }) => {
  const id = await seed(cluster);
  await page.goto(`${cluster.http()}/console/doctor`);
  await expect(page.getByText("全部 3 个节点均有响应")).toBeVisible();
  const found = await page.locator("tbody .prose").allTextContents();
  expect(found.filter((text) => text !== "–" && !/[一-鿿]/.test(text)), "findings in English").toEqual([]);
  await page.goto(`${cluster.http()}/console/messages/${id}?topic=orders&group=billing`);
  await expect(page.locator(".why p.prose")).toHaveText(/^[^a-z]*billing.*[一-鿿]/);
  // Of an error at least the kind.
  await page.goto(`${cluster.http()}/console/topics/${unique("none")}`);
  await expect(page.getByRole("alert")).toContainText("不存在：");
});

test.describe("for somebody whose browser asks for English", () => {
  test.use({ locale: "en-GB" });

  test("the choice of Chinese is remembered", async ({ page, cluster }) => {
    const topic = await makeTopic(cluster);
    await page.goto(`${cluster.http()}/console/topics/${topic}?do=delete`);
    await expect(page.getByRole("dialog", { name: `Delete topic ${topic}` })).toBeVisible();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "切换到中文" }).click();
    await expect(page.locator("html")).toHaveAttribute("lang", "zh-Hans");
    await page.goto(`${cluster.http()}/console/topics/${topic}?do=delete`);
    const dialog = page.getByRole("dialog", { name: `删除主题 ${topic}` });
    await expect(dialog).toBeVisible();
    await expectChinese(page, topic);
  });
});
