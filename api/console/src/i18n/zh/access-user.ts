import type en from "../en/access-user";
import type { Like } from "../like";

const accessUser: Like<typeof en> = {
  title: "用户",
};

export default accessUser;
