import { number } from "../../format";

const transactions = {
  title: "Transactions",
  lead: "Messages that nobody gets before their producer says how their transaction ends.",
  reload: "Load again",
  open: "Open",
  openLead: "Their producers are asked from time to time how they end.",
  givenUp: "Given up",
  givenUpLead: "Their producers never said how they end. The messages are not delivered, and are kept for a day to be looked at.",
  limit: "How many",
  atMost: (n: number) => `At most ${number(n)} of each broker group`,
  begun: "Begun",
  topic: "Topic",
  id: "Message id",
  checks: "Checks",
  next: "Next check",
  givenUpAt: "Given up",
  transaction: "Transaction",
  byHand: "They can be ended by hand on the command line:",
  noOpen: "No transaction is open.",
  noOpenHint: "Nothing has to be done.",
  noGivenUp: "No transaction was given up within the last day.",
  noGivenUpHint: "Nothing has to be done.",
};

export default transactions;
