import type en from "../en/cluster";
import type { Like } from "../like";

const cluster: Like<typeof en> = {
  title: "集群",
};

export default cluster;
