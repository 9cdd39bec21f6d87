import type en from "../en/cluster-group";
import type { Like } from "../like";

const clusterGroup: Like<typeof en> = {
  title: "Broker 组",
};

export default clusterGroup;
