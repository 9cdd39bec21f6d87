import type { ComponentType } from "preact";
import Access from "./pages/access";
import AccessUser from "./pages/access-user";
import Cluster from "./pages/cluster";
import ClusterGroup from "./pages/cluster-group";
import DeadLetters from "./pages/dead-letters";
import DeadLettersGroup from "./pages/dead-letters-group";
import Doctor from "./pages/doctor";
import Group from "./pages/group";
import Groups from "./pages/groups";
import Login from "./pages/login";
import Message from "./pages/message";
import Messages from "./pages/messages";
import Overview from "./pages/overview";
import Timers from "./pages/timers";
import Topic from "./pages/topic";
import Topics from "./pages/topics";
import Transactions from "./pages/transactions";
import { match } from "./router";

/** What every page gets: the parameters of its address, decoded. */
export interface PageProps {
  params: Record<string, string>;
}

/** All pages. To add one: import it above, and one line here. */
export const routes: readonly [pattern: string, page: ComponentType<PageProps>][] = [
  ["", Overview],
  ["cluster", Cluster],
  ["cluster/groups/:group", ClusterGroup],
  ["topics", Topics],
  ["topics/:name", Topic],
  ["groups", Groups],
  ["groups/:name", Group],
  ["messages", Messages],
  ["messages/:id", Message],
  ["dead-letters", DeadLetters],
  ["dead-letters/:group", DeadLettersGroup],
  ["timers", Timers],
  ["transactions", Transactions],
  ["access", Access],
  ["access/:user", AccessUser],
  ["doctor", Doctor],
  ["login", Login],
];

/** The page for a path, if there is one. */
export function findPage(path: string): { page: ComponentType<PageProps>; params: Record<string, string> } | null {
  for (const [pattern, page] of routes) {
    const params = match(pattern, path);
    if (params) return { page, params };
  }
  return null;
}
