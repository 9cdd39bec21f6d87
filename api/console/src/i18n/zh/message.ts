import type en from "../en/message";
import type { Like } from "../like";

const message: Like<typeof en> = {
  title: "消息",
};

export default message;
