import type en from "../en/access";
import type { Like } from "../like";

const access: Like<typeof en> = {
  title: "访问控制",
};

export default access;
