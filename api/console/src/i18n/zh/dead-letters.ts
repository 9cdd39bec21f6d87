import type en from "../en/dead-letters";
import type { Like } from "../like";

const deadLetters: Like<typeof en> = {
  title: "死信",
};

export default deadLetters;
