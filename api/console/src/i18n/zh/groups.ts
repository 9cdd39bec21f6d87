import type en from "../en/groups";
import type { Like } from "../like";

const groups: Like<typeof en> = {
  title: "消费者组",
};

export default groups;
