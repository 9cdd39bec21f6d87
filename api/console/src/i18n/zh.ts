import type { Texts } from "./en";
import common from "./zh/common";
import shell from "./zh/shell";
import ui from "./zh/ui";
import access from "./zh/access";
import accessUser from "./zh/access-user";
import cluster from "./zh/cluster";
import clusterGroup from "./zh/cluster-group";
import deadLetters from "./zh/dead-letters";
import deadLettersGroup from "./zh/dead-letters-group";
import doctor from "./zh/doctor";
import group from "./zh/group";
import groups from "./zh/groups";
import login from "./zh/login";
import message from "./zh/message";
import messages from "./zh/messages";
import overview from "./zh/overview";
import sentences from "./zh/sentences";
import timers from "./zh/timers";
import topic from "./zh/topic";
import topics from "./zh/topics";
import transactions from "./zh/transactions";

// Typed by the English texts: what is missing here does not compile.
const zh: Texts = {
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

export default zh;
