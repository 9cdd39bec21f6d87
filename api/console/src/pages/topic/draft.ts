// A message while it is typed, and what is sent of it.
import type { SendMessageRequest, TopicType } from "../../api/types";
import type { Texts } from "../../i18n/en";
import { byteLength, encodeBody, type BodyKind } from "./body";

export interface Property {
  /** Tells rows apart while they are typed. */
  row: number;
  name: string;
  value: string;
}

export interface MessageDraft {
  kind: BodyKind;
  body: string;
  tag: string;
  keys: string;
  properties: Property[];
  message_group: string;
  delay_ms: number | null;
  priority: number | null;
  lite_topic: string;
}

export const EMPTY: MessageDraft = {
  kind: "text", body: "", tag: "", keys: "", properties: [], message_group: "", delay_ms: null, priority: 0, lite_topic: "",
};

/** Which fields a type of topic has. */
export function fieldsOf(type: TopicType): { group: boolean; delay: boolean; priority: boolean; lite: boolean; mixed: boolean } {
  const mixed = type === "TOPIC_TYPE_MIXED";
  return {
    mixed,
    group: type === "TOPIC_TYPE_FIFO" || mixed,
    delay: type === "TOPIC_TYPE_DELAY" || mixed,
    priority: type === "TOPIC_TYPE_PRIORITY",
    lite: type === "TOPIC_TYPE_LITE",
  };
}

export interface DraftErrors {
  body: string;
  tag: string;
  /** One for each property. */
  properties: string[];
  message_group: string;
  delay_ms: string;
  priority: string;
  lite_topic: string;
}

/** What is wrong with a message, in words; "" where nothing is. */
export function draftErrors(draft: MessageDraft, type: TopicType, t: Texts): DraftErrors {
  const s = t.topic.sending;
  const has = fieldsOf(type);
  const group = draft.message_group;
  const needed = (wanted: boolean, value: string) => (wanted && !has.mixed && !value ? t.ui.fillIn : "");
  const wrongDelay = draft.delay_ms !== null && !(draft.delay_ms > 0 && Number.isSafeInteger(draft.delay_ms));
  const delay = draft.delay_ms === null ? (has.mixed ? "" : t.ui.fillIn) : wrongDelay ? s.delayWrong : has.mixed && group ? s.notBoth : "";
  return {
    body: bodyError(draft, s),
    tag: draft.tag.includes("|") ? s.tagWrong : "",
    properties: draft.properties.map((one, i) => {
      if (!one.name.trim()) return s.nameMissing;
      return draft.properties.findIndex((other) => other.name.trim() === one.name.trim()) < i ? s.nameTwice : "";
    }),
    message_group: needed(has.group, group) || (has.group && byteLength(group) >= 64 ? s.messageGroupLong : ""),
    delay_ms: has.delay ? delay : "",
    priority: has.priority && !(Number.isInteger(draft.priority) && (draft.priority ?? -1) >= 0) ? s.priorityWrong : "",
    lite_topic: needed(has.lite, draft.lite_topic) || (has.lite && byteLength(draft.lite_topic) > 64 ? s.liteLong : ""),
  };
}

function bodyError(draft: MessageDraft, t: Texts["topic"]["sending"]): string {
  const encoded = encodeBody(draft.kind, draft.body);
  if (!("wrong" in encoded)) return "";
  return { empty: t.bodyEmpty, json: t.jsonWrong(encoded.why), base64: t.base64Wrong, hex: t.hexWrong }[encoded.wrong];
}

export function hasErrors(errors: DraftErrors): boolean {
  const { properties, ...rest } = errors;
  return Object.values(rest).some(Boolean) || properties.some(Boolean);
}

/** What is sent; fields that the topic does not have are left out. */
export function requestOf(draft: MessageDraft, type: TopicType): SendMessageRequest {
  const has = fieldsOf(type);
  const encoded = encodeBody(draft.kind, draft.body);
  const request: SendMessageRequest = { body: "base64" in encoded ? encoded.base64 : "" };
  if (draft.tag) request.tag = draft.tag;
  const keys = draft.keys.split(/\s+/).filter(Boolean);
  if (keys.length) request.keys = keys;
  if (draft.properties.length) request.properties = Object.fromEntries(draft.properties.map((p) => [p.name.trim(), p.value]));
  if (has.group && draft.message_group) request.message_group = draft.message_group;
  if (has.delay && draft.delay_ms !== null) request.delay_ms = draft.delay_ms;
  if (has.priority && draft.priority !== null) request.priority = draft.priority;
  if (has.lite) request.lite_topic = draft.lite_topic;
  return request;
}
