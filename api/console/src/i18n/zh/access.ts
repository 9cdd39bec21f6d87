import type en from "../en/access";
import type { Like } from "../like";

const access: Like<typeof en> = {
  title: "访问控制",
  lead: "谁可以做什么。客户端以用户身份为请求签名。",
  off: "未启用访问控制",
  offText: "任何能访问此节点的人都可以执行所有操作，包括在此控制台中。",
  offHow: "要启用访问控制，请在每个节点的配置中加入以下内容，并逐个重启节点。所有节点使用同一个密钥文件。",
  offExample: "配置",
  offAfter: "首次启动会创建用户 admin。请在客户端需要之前创建用户和规则；docs/access.md 说明了如何在运行中启用。",
  users: "用户",
  user: "用户",
  name: "名称",
  you: "（您）",
  admin: "管理员",
  isAdmin: "管理员",
  enabled: "状态",
  isEnabled: "已启用",
  isDisabled: "已禁用",
  rules: "规则数",
  created: "创建时间",
  none: "没有用户。",
  create: "创建用户",
  createNow: "创建",
  made: (name: string) => `用户 ${name} 已创建。`,
  nameHint: "同时是其客户端的 Access Key。",
  secret: "密钥",
  secretHint: "留空则自动生成，比人为设定的更安全。",
  adminField: "管理员",
  adminHint: "可执行所有操作，不受规则限制。",
  adminWarning: "管理员可以创建和删除用户、读取所有消息并复制所有数据。请尽量少设。",
  secretOf: (user: string) => `${user} 的密钥`,
  secretOnce: "请立即复制：密钥仅显示这一次，之后任何人都无法查看。",
  secretUse: (user: string) => `客户端以 ${user} 作为 Access Key，以此作为 Secret Key。`,
  secretKept: "我已保存",
};

export default access;
