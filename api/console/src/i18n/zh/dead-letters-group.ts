import type en from "../en/dead-letters-group";
import type { Like } from "../like";

const deadLettersGroup: Like<typeof en> = {
  title: "死信",
};

export default deadLettersGroup;
