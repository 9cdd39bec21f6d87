// What tests of forms and tables look for.
import type { Locator, Page } from "@playwright/test";
import { expect } from "./fixtures";

/** A field says what is wrong with it, to screen readers too. */
export async function expectWrong(field: Locator, why: string | RegExp): Promise<void> {
  await expect(field).toHaveAttribute("aria-invalid", "true");
  const text = typeof why === "string" ? new RegExp(why.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")) : why;
  await expect(field).toHaveAccessibleDescription(text);
}

/** The value beside a name in a list of facts or figures. */
export function fact(within: Page | Locator, name: string): Locator {
  const term = within.locator("dt").getByText(name, { exact: true });
  return within.locator("dl > div").filter({ has: term }).locator("dd");
}

/** The row of a table that one of its cells names. */
export function row(page: Page, table: string, name: string | RegExp): Locator {
  return page.getByRole("table", { name: table, exact: true }).getByRole("row").filter({ hasText: name });
}

/** What a toast said. It goes after a few seconds, so it is looked for at once. */
export async function expectToast(page: Page, text: string): Promise<void> {
  await expect(page.getByRole("region", { name: "Notifications" })).toContainText(text);
}
