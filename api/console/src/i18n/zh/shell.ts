import { number } from "../../format";
import type en from "../en/shell";
import type { Like } from "../like";

const shell: Like<typeof en> = {
  skip: "跳到正文",
  navigation: "导航",
  openNavigation: "打开导航",
  closeNavigation: "关闭导航",
  nav: {
    overview: "概览",
    cluster: "集群",
    topics: "主题",
    groups: "消费者组",
    messages: "消息",
    deadLetters: "死信",
    timers: "定时消息",
    transactions: "事务",
    access: "访问控制",
    doctor: "诊断",
  },
  section: { cluster: "集群", data: "消息", operation: "运维" },
  cluster: "集群",
  node: (name: string) => `节点 ${name}`,
  live: { connecting: "正在连接", live: "实时", reconnecting: "正在重连" },
  away: (node: string) => `${node} 没有响应。`,
  awaySince: (span: string) => `当前数据已是 ${span} 前的，正在持续重试。`,
  awayOthers: "在其他节点上打开此页面：",
  awayNoOthers: "没有已知的其他节点。",
  switchLanguage: "Switch to English",
  switchLanguageShort: "EN",
  theme: { auto: "主题：跟随系统", light: "主题：浅色", dark: "主题：深色" },
  themeNext: { auto: "切换到浅色", light: "切换到深色", dark: "切换为跟随系统" },
  user: "用户",
  userMenu: (name: string) => `用户 ${name}：菜单`,
  noUser: "未启用访问控制：能访问此节点的人可以执行任何操作。",
  expires: "会话到期",
  logout: "退出登录",
  version: (version: string) => `版本 ${version}`,
  alerts: (n: number) => `${number(n)} 条告警`,
  starting: "正在询问节点",
};

export default shell;
