import { number } from "../../format";
import type en from "../en/doctor";
import type { Like } from "../like";

const doctor: Like<typeof en> = {
  title: "诊断",
  lead: "节点检查集群时的发现，每 10 秒检查一次。",
  findings: "检查结果",
  worst: { ok: "一切正常", warn: "有需要注意的问题", bad: "存在严重问题" },
  summary: (bad: number, warn: number, ok: number) => `${number(bad)} 项严重，${number(warn)} 项警告，${number(ok)} 项正常`,
  level: "级别",
  check: "检查项",
  place: "位置",
  found: "发现",
  advice: "建议",
  show: "显示",
  all: "全部",
  alertsOnly: "仅需注意的项",
  empty: "尚未进行检查。",
  emptyAlerts: "没有需要注意的项。",
  showAll: "显示全部检查结果",
  now: "立即检查",
  checks: {
    nodes: "节点",
    disk: "磁盘",
    versions: "版本",
    "feature level": "特性级别",
    clocks: "时钟",
    leader: "Leader",
    voters: "投票者",
    replication: "复制",
    spread: "均衡",
    topics: "主题",
    certificate: "证书",
  },
  places: {
    cluster: "集群",
    topic: (name: string) => `主题 ${name}`,
    replica: (group: string, node: string) => `${node} 上的 ${group}`,
  },
  go: {
    group: (name: string) => `查看组 ${name}`,
    nodes: (_name: string) => "查看节点",
    topic: (name: string) => `查看主题 ${name}`,
    rebalance: (_name: string) => "重新均衡……",
    level: (_name: string) => "提升特性级别……",
  },
};

export default doctor;
