// What others put into messages is only ever text: nothing of it runs, becomes an element, or makes the page ask another host.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { makeDeadLetters, makeGroup, makeTopic, send } from "./support/broker";
import { expect, isAccessible, test } from "./support/fixtures";
import { ClientConnection } from "./support/grpc-client";

const ELSEWHERE = "http://elsewhere.invalid";
// Each would set __pwned, ask another host, or leave an element of the class `pwned`.
const HTML = [
  `<script class=pwned>window.__pwned=1</script>`,
  `<img class=pwned src=x onerror="window.__pwned=2">`,
  `<img class=pwned src="${ELSEWHERE}/i">`,
  `<svg class=pwned onload="window.__pwned=3"><script>window.__pwned=4</script></svg>`,
  `<a class=pwned href="javascript:window.__pwned=5">click</a>`,
  `<iframe class=pwned srcdoc="<script>parent.__pwned=6</script>"></iframe>`,
  `</script></style></title></textarea></pre></td></table></dialog><b class=pwned>out</b>`,
  `"><i class=pwned onmouseover=window.__pwned=7 autofocus tabindex=1 onfocus=window.__pwned=8>'><input class=pwned autofocus>`,
  `{{constructor.constructor('window.__pwned=9')()}}\${window.__pwned=10}#{1}<%= 1 %>`,
  `<style class=pwned>@import "${ELSEWHERE}/s"; body { display: none }</style>`,
  `<base class=pwned href="${ELSEWHERE}/"><meta class=pwned http-equiv=refresh content="0;url=${ELSEWHERE}">`,
].join("\n");
const LINE = HTML.replaceAll("\n", " ");
// Message groups have fewer than 64 bytes.
const SHORT = `"><img class=pwned src=x onerror=window.__pwned=11>`;
const MESSAGE = { body: HTML, tag: LINE, keys: [LINE, "javascript:window.__pwned=12", "hostile"], properties: { [LINE]: LINE, ["__proto__"]: "polluted", constructor: LINE }, message_group: SHORT };

/** Watches the page from now on; the function that it answers says whether anything got through. */
async function guard(page: Page, origin: string): Promise<() => Promise<void>> {
  const strangers: string[] = [];
  const dialogs: string[] = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "data:" && url.protocol !== "blob:") strangers.push(request.url());
  });
  page.on("dialog", (dialog) => {
    dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    // Also a value that is set and taken away again is noticed.
    const pwned: unknown[] = [];
    Object.defineProperty(window, "__pwned", { set: (value) => pwned.push(value), get: () => pwned.length || undefined });
  });
  return async () => {
    const found = await page.evaluate(() => ({
      pwned: (window as any).__pwned,
      // Templates too would hold elements.
      elements: document.querySelectorAll(".pwned, iframe, object, embed, base, [onerror], [onload], [onfocus], [onmouseover], script:not([src]), a[href^='javascript' i]").length,
    }));
    expect(found).toEqual({ pwned: undefined, elements: 0 });
    expect(strangers, "requests to other hosts").toEqual([]);
    expect(dialogs).toEqual([]);
    expect(new URL(page.url()).origin).toBe(origin);
  };
}

test("a hostile message is text on its page, in results and in its menus", async ({ page, cluster }) => {
  const inert = await guard(page, cluster.http());
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic, MESSAGE);
  await cluster.command("receive", topic, "--group", group);

  await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}&group=${group}`);
  await expect(page.locator("pre.body")).toHaveText(HTML);
  const facts = page.getByRole("region", { name: "Facts" });
  await expect(facts).toContainText(`<script class=pwned>`);
  await expect(facts).toContainText(SHORT);
  const properties = page.getByRole("table", { name: "Properties" });
  await expect(properties.getByRole("row").filter({ hasText: "constructor" }).first()).toContainText("<img class=pwned");
  await expect(properties.getByRole("row").filter({ hasText: "__proto__" })).toContainText("polluted");
  await expect(page.getByText("acknowledged", { exact: true })).toBeVisible();
  await inert();
  for (const view of ["Hex", "Text"]) {
    await page.getByRole("button", { name: view, exact: true }).click();
    await inert();
  }

  await page.goto(`${cluster.http()}/console/messages?topic=${topic}&by=key&key=hostile`);
  const row = page.getByRole("table", { name: "Results" }).getByRole("row").filter({ hasText: id });
  await expect(row).toContainText(`<script class=pwned>window.__pwned=1</script>`);
  await expect(row).toContainText("javascript:window.__pwned=12");
  await row.hover();
  await page.getByRole("searchbox").fill(`<img class=pwned`);
  await inert();

  // What somebody looks for comes back to the page too, in the address and in fields.
  await page.goto(`${cluster.http()}/console/messages?topic=${encodeURIComponent(LINE)}&by=key&key=${encodeURIComponent(LINE)}&q=${encodeURIComponent(LINE)}`);
  await expect(page.getByRole("alert").filter({ hasText: "did not work" })).toBeVisible();
  await inert();
  for (const place of [`messages/${encodeURIComponent(LINE)}?topic=${topic}`, `topics/${encodeURIComponent(LINE)}`, `groups/${encodeURIComponent(LINE)}?tab=${encodeURIComponent(LINE)}`, `dead-letters/${encodeURIComponent(LINE)}`, `access/${encodeURIComponent(LINE)}`, `cluster/groups/${encodeURIComponent(LINE)}`]) {
    await page.goto(`${cluster.http()}/console/${place}`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByText("Loading", { exact: false })).toHaveCount(0);
    await inert();
  }
});

test("a link to the login leads to no other place", async ({ page, cluster }) => {
  const inert = await guard(page, cluster.http());
  for (const to of [`${ELSEWHERE}/`, "//elsewhere.invalid/", "/\\elsewhere.invalid", "javascript:window.__pwned=13", "../../x", "\t//elsewhere.invalid"]) {
    await page.goto(`${cluster.http()}/console/login?to=${encodeURIComponent(to)}`);
    // Nobody has to log in here: it goes on at once.
    await expect(page).not.toHaveURL(/login/);
    await inert();
  }
});

test("a hostile dead letter is text, in the table and in its dialog", async ({ page, cluster }) => {
  const inert = await guard(page, cluster.http());
  const topic = await makeTopic(cluster);
  const id = await send(cluster, topic, MESSAGE);
  const group = await makeDeadLetters(cluster, topic, 1);
  await page.goto(`${cluster.http()}/console/dead-letters/${group}`);
  const row = page.getByRole("table", { name: "Dead letters" }).getByRole("row").filter({ hasText: id });
  await expect(row).toContainText("<script class=pwned>");
  await inert();
  await row.getByRole("button", { name: `Body of ${id}` }).click();
  await expect(page.getByRole("dialog").locator("pre.body")).toHaveText(HTML);
  await isAccessible(page);
  await inert();
});

test("what turns the writing around or cannot be seen is spelt out", async ({ page, cluster }) => {
  const topic = await makeTopic(cluster);
  const [turned, hidden] = ["user\u202Egnp.exe", "a\u200Bb\uFEFFc\u2066d"];
  const [turnedText, hiddenText] = ["user⟨U+202E⟩gnp.exe", "a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+2066⟩d"];
  const body = `access = "user\u202E \u2066// only admins\u2069 \u2066";\nשלום 👩‍👩‍👧\tend`;
  const bodyText = `access = "user⟨U+202E⟩ ⟨U+2066⟩// only admins⟨U+2069⟩ ⟨U+2066⟩";\nשלום 👩‍👩‍👧\tend`;
  const id = await send(cluster, topic, { body, tag: turned, keys: [hidden, "k"], properties: { [hidden]: turned }, message_group: turned });
  await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}`);
  // The exact characters: what toHaveText compares has no white space of its own.
  await expect.poll(() => page.locator("pre.body").textContent()).toBe(bodyText);
  const facts = page.getByRole("region", { name: "Facts" });
  await expect(facts).toContainText(turnedText);
  await expect(facts).toContainText(hiddenText);
  const property = page.getByRole("table", { name: "Properties" }).getByRole("row").last();
  await expect(property).toContainText(turnedText);
  await expect(property).toContainText(hiddenText);

  await page.goto(`${cluster.http()}/console/messages?topic=${topic}&by=key&key=k`);
  const row = page.getByRole("table", { name: "Results" }).getByRole("row").last();
  for (const text of [turnedText, hiddenText, `access = "user⟨U+202E⟩`]) await expect(row).toContainText(text);
  await expect(page.getByText("\u202E")).toHaveCount(0);

  // The API takes none in properties, but a body may have any byte.
  const control = await send(cluster, topic, { body: "bell\u0007 escape\u001b[31m" });
  await page.goto(`${cluster.http()}/console/messages/${control}?topic=${topic}`);
  await expect(page.locator("pre.body")).toContainText("00000000  62 65 6c 6c 07 20");
  await page.getByRole("button", { name: "Text", exact: true }).click();
  await expect(page.locator("pre.body")).toHaveText("bell⟨U+0007⟩ escape⟨U+001B⟩[31m");
});

test("what a client says of itself is text wherever it is listed", async ({ page, cluster }) => {
  const inert = await guard(page, cluster.http());
  const topic = await makeTopic(cluster);
  const group = await makeGroup(cluster);
  const id = await send(cluster, topic, { body: HTML, tag: "red" });
  const hostile = `"><img class=pwned src=x onerror=window.__pwned=14>`;
  const connection = await ClientConnection.open(cluster.grpc());
  try {
    await connection.add({ id: hostile, kind: "push_consumer", group, topics: [{ name: topic, expression: hostile }] });
    await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}&group=${group}`);
    // The sentence has the filter, the choice of clients the name.
    await expect(page.getByText("filtered", { exact: true })).toBeVisible();
    await expect(page.getByRole("region", { name: "Why is it not delivered?" })).toContainText("<img class=pwned");
    await expect(page.getByLabel("Client", { exact: true }).getByRole("option").filter({ hasText: hostile })).toHaveCount(1);
    await inert();
    for (const place of [`groups/${group}?tab=clients`, `topics/${topic}?tab=clients`]) {
      await page.goto(`${cluster.http()}/console/${place}`);
      await expect(page.getByText(hostile).first()).toBeVisible();
      await inert();
    }
  } finally {
    await connection.close();
  }
});

const BIG = 4 * 1024 * 1024;

for (const [kind, make] of [
  ["text", () => Buffer.from("<b class=pwned>0123456789 </b>\n".repeat(BIG / 31)).subarray(0, BIG)],
  ["bytes", () => Buffer.from(Uint8Array.from({ length: BIG }, (_, at) => (at * 7) % 251))],
  ["one line of JSON", () => Buffer.from(`[${"1,".repeat(BIG / 2 - 2)}1]`)],
] as const) {
  test(`a body of 4 MiB opens, the page stays quick, and the download has its bytes: ${kind}`, async ({ page, cluster }) => {
    const topic = await makeTopic(cluster);
    const body = make();
    const id = await send(cluster, topic, { body });
    const begun = Date.now();
    await page.goto(`${cluster.http()}/console/messages/${id}?topic=${topic}`);
    await expect(page.locator("pre.body")).toBeVisible();
    // Seconds, on a machine that others work on too.
    expect(Date.now() - begun).toBeLessThan(10_000);
    await expect(page.getByText(/^The first .+ of .+ are shown\./)).toBeVisible();
    for (const view of ["Hex", "Text"]) {
      const clicked = Date.now();
      await page.getByRole("button", { name: view, exact: true }).click();
      await expect(page.getByRole("button", { name: view, exact: true })).toHaveAttribute("aria-pressed", "true");
      // Two frames were painted with it.
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      expect(Date.now() - clicked, `${view} is there`).toBeLessThan(3_000);
    }
    await page.getByRole("button", { name: "Show more" }).click();
    await expect(page.getByText(/^The first 256 KiB of .+ are shown\./)).toBeVisible();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    const saved = await readFile(await download.path());
    const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    expect(saved.length).toBe(body.length);
    expect(hash(saved)).toBe(hash(body));

    // In results only its beginning is laid out.
    await page.goto(`${cluster.http()}/console/messages?topic=${topic}&queue=0&offset=0`);
    await expect(page.getByRole("link", { name: id })).toBeVisible();
    expect((await page.getByRole("table", { name: "Results" }).textContent())?.length).toBeLessThan(2_000);
  });
}
