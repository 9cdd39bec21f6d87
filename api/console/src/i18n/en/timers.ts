import { number } from "../../format";
import { plural } from "../plural";

const timers = {
  title: "Timers",
  lead: "Messages that wait for their time. They are delivered when they are due, and can be recalled until then.",
  reload: "Load again",
  filters: "Filter",
  topic: "Topic",
  topicHint: "Empty: all topics.",
  from: "Due from",
  show: "Show",
  waiting: (total: string) => `Waiting: ${total}`,
  waitingYours: "Waiting",
  yoursHint: "Of the topics that you may list. Those that are due first come first.",
  totalHint: "So many wait in all topics together. Those that are due first come first.",
  due: "Due",
  id: "Message id",
  born: "Sent",
  actions: "Actions",
  recall: "Recall",
  recallOne: (id: string) => `Recall ${id}`,
  recallSelected: (n: number) => (n > 0 ? `Recall ${number(n)}` : "Recall selected"),
  recallTitle: (n: number) => `Recall ${plural(n, "message", "messages")}`,
  recallText: "Once recalled, nobody gets them. This cannot be undone.",
  recalling: "Recalling",
  recalled: (n: number) => `Recalled: ${plural(n, "message", "messages")}.`,
  selectFirst: "Select messages in the table first.",
  none: "No message waits for its time.",
  noneHint: "Messages that are sent with a delay to a topic of type delay show up here.",
  noneFrom: "Nothing is due from this time on.",
  noneFromHint: "Choose an earlier time.",
};

export default timers;
