import { number } from "../../format";
import type en from "../en/timers";
import type { Like } from "../like";

const timers: Like<typeof en> = {
  title: "定时消息",
  lead: "等待定时投递的消息。到期后投递，在此之前可以撤回。",
  reload: "重新加载",
  filters: "筛选",
  topic: "主题",
  topicHint: "留空表示所有主题。",
  from: "到期时间从",
  show: "显示",
  waiting: (total: string) => `等待中：${total}`,
  waitingYours: "等待中",
  yoursHint: "您可列出的主题中的定时消息。最先到期的排在最前。",
  totalHint: "此数为所有主题的合计。最先到期的排在最前。",
  due: "到期时间",
  id: "消息 ID",
  born: "发送时间",
  actions: "操作",
  recall: "撤回",
  recallOne: (id: string) => `撤回 ${id}`,
  recallSelected: (n: number) => (n > 0 ? `撤回 ${number(n)} 条` : "撤回所选"),
  recallTitle: (n: number) => `撤回 ${number(n)} 条消息`,
  recallText: "撤回后任何人都不会收到，且无法恢复。",
  recalling: "正在撤回",
  recalled: (n: number) => `已撤回 ${number(n)} 条消息。`,
  selectFirst: "请先在表格中选择消息。",
  none: "没有等待定时投递的消息。",
  noneHint: "以延时方式发送到延时类型主题的消息会显示在这里。",
  noneFrom: "此时间之后没有到期的消息。",
  noneFromHint: "请选择更早的时间。",
};

export default timers;
