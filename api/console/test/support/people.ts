// Users of a cluster that controls access, and pages of theirs.
import type { Browser, Page } from "@playwright/test";
import { unique } from "./broker";
import type { Cluster, Credentials } from "./cluster";
import { logIn } from "./fixtures";

export interface Rule {
  resource: string;
  actions: string[];
  deny?: boolean;
  sources?: string[];
}

/** Makes a user with rules. */
export async function makeUser(cluster: Cluster, rules: Rule[] = [], settings: { admin?: boolean } = {}): Promise<Credentials> {
  const user = unique("user");
  const { secret } = await cluster.api("POST", "/users", { name: user, ...settings });
  for (const rule of rules) await cluster.api("PUT", `/users/${user}/rules`, { rule });
  return { user, secret };
}

/** May look at everything. */
export const SEES: Rule[] = [{ resource: "*", actions: ["get", "list", "subscribe"] }];
/** May change topics and groups, too. */
export const OPERATES: Rule[] = [{ resource: "*", actions: ["get", "list", "subscribe", "publish", "create", "update", "delete"] }];

/** A window of its own, in which this user is logged in; nothing of it is shared with the test's page. */
export async function windowOf(browser: Browser, cluster: Cluster, who: Credentials): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await logIn(page, cluster.http(), who.user, who.secret);
  return page;
}

export function adminOf(cluster: Cluster): Credentials {
  if (!cluster.admin) throw new Error("the cluster does not control access");
  return cluster.admin;
}
