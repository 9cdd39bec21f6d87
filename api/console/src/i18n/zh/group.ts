import type en from "../en/group";
import type { Like } from "../like";

const group: Like<typeof en> = {
  title: "消费者组",
};

export default group;
