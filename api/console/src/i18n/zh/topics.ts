import type en from "../en/topics";
import type { Like } from "../like";

const topics: Like<typeof en> = {
  title: "主题",
};

export default topics;
