import type en from "../en/timers";
import type { Like } from "../like";

const timers: Like<typeof en> = {
  title: "定时消息",
};

export default timers;
