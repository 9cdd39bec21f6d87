import { number } from "../../format";
import type en from "../en/transactions";
import type { Like } from "../like";

const transactions: Like<typeof en> = {
  title: "事务",
  lead: "在生产者说明事务结果之前，任何人都收不到的消息。",
  reload: "重新加载",
  open: "未结束",
  openLead: "系统会不时向其生产者回查结果。",
  givenUp: "已放弃",
  givenUpLead: "其生产者始终未说明结果。消息不会投递，保留一天以供查看。",
  limit: "数量",
  atMost: (n: number) => `每个 Broker 组最多 ${number(n)} 条`,
  begun: "开始时间",
  topic: "主题",
  id: "消息 ID",
  checks: "回查次数",
  next: "下次回查",
  givenUpAt: "放弃时间",
  transaction: "事务 ID",
  byHand: "可通过命令行手动结束：",
  noOpen: "没有未结束的事务。",
  noOpenHint: "无需处理。",
  noGivenUp: "最近一天内没有被放弃的事务。",
  noGivenUpHint: "无需处理。",
};

export default transactions;
