import type en from "../en/transactions";
import type { Like } from "../like";

const transactions: Like<typeof en> = {
  title: "事务",
};

export default transactions;
