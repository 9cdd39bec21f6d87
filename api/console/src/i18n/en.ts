// One file for each page, so that pages can be written side by side. A text with values is a function of them.
import type { Like } from "./like";
import common from "./en/common";
import shell from "./en/shell";
import ui from "./en/ui";
import access from "./en/access";
import accessUser from "./en/access-user";
import cluster from "./en/cluster";
import clusterGroup from "./en/cluster-group";
import deadLetters from "./en/dead-letters";
import deadLettersGroup from "./en/dead-letters-group";
import doctor from "./en/doctor";
import group from "./en/group";
import groups from "./en/groups";
import login from "./en/login";
import message from "./en/message";
import messages from "./en/messages";
import overview from "./en/overview";
import sentences from "./en/sentences";
import timers from "./en/timers";
import topic from "./en/topic";
import topics from "./en/topics";
import transactions from "./en/transactions";

const en = {
  common,
  shell,
  ui,
  access,
  accessUser,
  cluster,
  clusterGroup,
  deadLetters,
  deadLettersGroup,
  doctor,
  group,
  groups,
  login,
  message,
  messages,
  overview,
  sentences,
  timers,
  topic,
  topics,
  transactions,
};

/** All texts of the console, in any language. */
export type Texts = Like<typeof en>;

export default en;
