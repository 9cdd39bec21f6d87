// The shapes of the HTTP API: the messages of ledgermq.admin.v1 as JSON, and those that only the console has.
// 64-bit integers are numbers, bytes are base64, enums are their names.
export type * from "./types/access";
export type * from "./types/cluster";
export type * from "./types/deadletters";
export type * from "./types/groups";
export type * from "./types/messages";
export type * from "./types/observe";
export type * from "./types/session";
export type * from "./types/timers";
export type * from "./types/topics";
