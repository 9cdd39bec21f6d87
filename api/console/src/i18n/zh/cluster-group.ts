import { number } from "../../format";
import type en from "../en/cluster-group";
import type { Like } from "../like";

const clusterGroup: Like<typeof en> = {
  title: (group: string) => `组 ${group}`,
  lead: "一份复制日志，保存若干队列的消息。",
  metaLead: "目录的复制日志：主题、消费者组、用户以及各项数据的位置。",
  missing: (group: string) => `没有名为 ${group} 的组。`,
  toCluster: "所有组",
  figures: "组的当前状态",
  noLeaderHint: "选出 Leader 之前不接收消息",
  noMajority: "没有多数派",
  noMajorityHint: "没有多数派，无法提交",
  voters: "在线的投票节点",
  needed: (n: number) => `需要 ${number(n)} 个`,
  chosen: "在指定节点上",
  picture: "复制",
  pictureLead: "当前谁是 Leader、谁在跟随，以及各副本日志的进度。",
  inTerm: (term: string) => `任期 ${term}`,
  ledBy: (node: string) => `Leader：${node}`,
  replicaIs: (node: string, role: string, behind: number) => `${node}：${role}，落后 ${number(behind)} 条`,
  committedAt: (index: string) => `已提交：${index}`,
  log: (node: string, last: number, durable: number, applied: number) =>
    `${node}：末尾 ${number(last)}，已落盘 ${number(durable)}，已应用 ${number(applied)}`,
  noLog: (node: string) => `${node}：未知`,
  legend: { last: "日志中", durable: "已落盘", applied: "已应用", committed: "已提交" },
  history: "变化记录",
  historyLead: "自打开此页以来的变化，最新的在前。保持页面打开即可观察选举。",
  happened: {
    leads: (term: number, node: string) => `任期 ${number(term)}：Leader 为 ${node}`,
    leadsNow: (term: number, node: string, before: string, beforeTerm: number) =>
      `任期 ${number(term)}：Leader 为 ${node}；任期 ${number(beforeTerm)} 的 Leader 是 ${before}`,
    leadsOn: (term: number, node: string, beforeTerm: number) =>
      `任期 ${number(term)}：${node} 再次成为 Leader；任期 ${number(beforeTerm)} 也是它`,
    leadsStill: (term: number, node: string) => `任期 ${number(term)}：${node} 重新得到多数派响应，继续担任 Leader`,
    leaderless: (term: number, before: string, beforeTerm: number) =>
      `任期 ${number(term)}：没有 Leader；任期 ${number(beforeTerm)} 的 Leader 是 ${before}`,
    nobody: (term: number) => `任期 ${number(term)}：没有 Leader`,
    election: (term: number) => `任期 ${number(term)}：正在选举`,
    back: (node: string, role: string) => `${node} 已恢复：${role}`,
    became: {
      leader: (node: string, term: number) => `${node} 成为任期 ${number(term)} 的 Leader`,
      follower: (node: string, term: number) => `${node} 在任期 ${number(term)} 成为 Follower`,
      candidate: (node: string, term: number) => `${node} 在任期 ${number(term)} 参加选举`,
      learner: (node: string, _term: number) => `${node} 现为 Learner，没有投票权`,
      rejoining: (node: string, _term: number) => `${node} 正在重建，暂不投票`,
      unheard: (node: string, term: number) => `${node} 自认为是任期 ${number(term)} 的 Leader，但没有多数派响应`,
      down: (node: string, _term: number) => `${node} 没有响应`,
      silent: (node: string, _term: number) => `${node} 没有报告其副本`,
    },
    voters: (nodes: string) => `投票节点现为 ${nodes}`,
    lost: "在线的投票节点不足，无法提交",
    found: "在线的投票节点已恢复足够",
    gap: (span: string) => `此页有 ${span}没有收到更新`,
  },
};

export default clusterGroup;
