import type en from "../en/login";
import type { Like } from "../like";

const login: Like<typeof en> = {
  title: "登录",
  lead: "此节点启用了访问控制。请使用访问密钥及其密钥口令登录。",
  user: "用户",
  userHint: "用户名，即客户端的访问密钥（access key）。",
  secret: "密钥口令",
  submit: "登录",
  wrong: "用户不存在、密钥口令错误，或用户已停用。",
};

export default login;
