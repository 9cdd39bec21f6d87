import type en from "../en/topic";
import type { Like } from "../like";

const topic: Like<typeof en> = {
  title: "主题",
};

export default topic;
