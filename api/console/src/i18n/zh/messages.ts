import type en from "../en/messages";
import type { Like } from "../like";

const messages: Like<typeof en> = {
  title: "消息",
};

export default messages;
