import type en from "../en/common";
import type { Like } from "../like";

const common: Like<typeof en> = {
  product: "LedgerMQ",
  justNow: "刚刚",
  ago: (span: string) => `${span}前`,
  in: (span: string) => `${span}后`,
  yes: "是",
  no: "否",
  none: "无",
  node: "节点",
  unknown: "未知",
  notFound: "没有这个页面",
  notFoundHint: "地址可能有误，或属于另一版本的控制台。",
  toOverview: "前往概览",
  level: { ok: "正常", warn: "警告", bad: "严重" },
  role: { see: "只读", operate: "可操作", administer: "可管理" },
  needs: {
    see: "您无权查看此内容。",
    operate: "需要“操作”角色，请联系管理员。",
    administer: "需要“管理”角色，请联系管理员。",
  },
};

export default common;
