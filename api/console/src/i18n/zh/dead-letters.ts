import type en from "../en/dead-letters";
import type { Like } from "../like";

const deadLetters: Like<typeof en> = {
  title: "死信",
  lead: "消费者组多次收到但未确认的消息。即使消费者组被删除，死信仍会保留。",
  reload: "重新加载",
  groups: "消费者组",
  group: "消费者组",
  count: "保留数",
  consumer: "组",
  toGroup: "打开消费者组",
  countHint: "保留数包括已重新发送的死信，直到保留策略将其删除。",
  countFailed: "未知",
  counting: "正在统计",
  show: "显示哪些组",
  onlySome: "有死信的组",
  all: "所有组",
  none: "没有死信。",
  noneHint: "您可查看的消费者组都没有死信。",
};

export default deadLetters;
