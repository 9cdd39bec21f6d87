// Every call of the HTTP API, by the name that it has in the admin service. They throw ApiError.
import { takeBegun } from "../begun";
import { call, path, type CallQuery } from "./client";
import type * as t from "./types";

type Stop = AbortSignal | undefined;

const get = <T>(at: string, query?: CallQuery, signal?: Stop) => call<T>("GET", at, { query, signal });
const post = <T>(at: string, body?: unknown) => call<T>("POST", at, { body });
const patch = <T>(at: string, body: unknown) => call<T>("PATCH", at, { body });
const put = <T>(at: string, body: unknown) => call<T>("PUT", at, { body });
const del = <T>(at: string, query?: CallQuery) => call<T>("DELETE", at, { query });
type Nothing = Record<string, never>;

export const session = {
  get: (signal?: Stop) => call<t.Session>("GET", "/session", { login: true, signal, begun: takeBegun() }),
  login: (body: t.LoginRequest) => call<t.Session>("POST", "/session", { body, login: true }),
  logout: () => call<Nothing>("DELETE", "/session", { login: true }),
};

export const topics = {
  list: (query: { all?: boolean } = {}, s?: Stop) => get<t.ListTopicsResponse>("/topics", query, s),
  create: (body: t.CreateTopicRequest) => post<t.TopicResponse>("/topics", body),
  describe: (name: string, s?: Stop) => get<t.DescribeTopicResponse>(path`/topics/${name}`, {}, s),
  update: (name: string, body: t.UpdateTopicRequest) => patch<t.TopicResponse>(path`/topics/${name}`, body),
  remove: (name: string) => del<Nothing>(path`/topics/${name}`),
  spread: (name: string, body: t.SpreadTopicRequest) => post<t.TopicResponse>(path`/topics/${name}/spread`, body),
  send: (topic: string, body: t.SendMessageRequest) => post<t.SendMessageResponse>(path`/topics/${topic}/messages`, body),
};

export const groups = {
  list: (s?: Stop) => get<t.ListGroupsResponse>("/groups", {}, s),
  create: (body: t.CreateGroupRequest) => post<t.GroupResponse>("/groups", body),
  describe: (name: string, s?: Stop) => get<t.DescribeGroupResponse>(path`/groups/${name}`, {}, s),
  update: (name: string, body: t.UpdateGroupRequest) => patch<t.GroupResponse>(path`/groups/${name}`, body),
  remove: (name: string) => del<Nothing>(path`/groups/${name}`),
  reset: (group: string, body: t.ResetOffsetRequest) => post<t.ResetOffsetResponse>(path`/groups/${group}/reset`, body),
  offsets: (group: string, topic: string, s?: Stop) => get<t.GroupOffsetsResponse>(path`/groups/${group}/offsets`, { topic }, s),
};

export const observe = {
  lags: (query: { group?: string; topic?: string; limit?: number } = {}, s?: Stop) => get<t.ListLagsResponse>("/lags", query, s),
  clients: (query: { group?: string; topic?: string } = {}, s?: Stop) => get<t.ListClientsResponse>("/clients", query, s),
  traffic: (query: { since_unix_ms?: number } = {}, s?: Stop) => get<t.TrafficResponse>("/traffic", query, s),
  doctor: (s?: Stop) => get<t.DoctorResponse>("/doctor", {}, s),
};

export const messages = {
  query: (q: t.QueryMessagesRequest, s?: Stop) => get<t.QueryMessagesResponse>("/messages", messageQuery(q), s),
  trace: (id: string, topic = "", s?: Stop) => get<t.TraceMessageResponse>(path`/messages/${id}/trace`, { topic }, s),
  why: (id: string, group: string, topic = "", s?: Stop) =>
    get<t.ExplainDeliveryResponse>(path`/messages/${id}/why`, { group, topic }, s),
  resend: (id: string, body: t.ResendMessageRequest) => post<t.SendMessageResponse>(path`/messages/${id}/resend`, body),
  verify: (id: string, body: t.VerifyMessageRequest) => post<t.VerifyMessageResponse>(path`/messages/${id}/verify`, body),
};

/** In a query, what is nested is written with dots. */
function messageQuery(q: t.QueryMessagesRequest): CallQuery {
  return {
    topic: q.topic,
    id: q.id,
    key: q.key,
    "time.from_unix_ms": q.time?.from_unix_ms,
    "time.to_unix_ms": q.time?.to_unix_ms,
    "offset.queue": q.offset?.queue,
    "offset.offset": q.offset?.offset,
    limit: q.limit,
    continuation: q.continuation,
    from_replica: q.from_replica,
  };
}

export const deadLetters = {
  list: (group: string, q: t.ListDeadLettersRequest = {}, s?: Stop) =>
    get<t.ListDeadLettersResponse>(path`/groups/${group}/dead-letters`, { ...q }, s),
  resend: (group: string, body: t.ResendDeadLettersRequest) =>
    post<t.ResendDeadLettersResponse>(path`/groups/${group}/dead-letters/resend`, body),
};

export const timers = {
  list: (query: { topic?: string; limit?: number; from_unix_ms?: number } = {}, s?: Stop) =>
    get<t.ListTimersResponse>("/timers", query, s),
  recall: (body: t.RecallTimerRequest) => post<t.RecallTimerResponse>("/timers/recall", body),
  transactions: (query: { limit?: number } = {}, s?: Stop) => get<t.ListTransactionsResponse>("/transactions", query, s),
};

export const cluster = {
  status: (s?: Stop) => get<t.ClusterStatusResponse>("/cluster", {}, s),
  transfer: (group: string, body: t.TransferLeaderRequest = {}) =>
    post<t.TransferLeaderResponse>(path`/cluster/groups/${group}/transfer`, body),
  voters: (group: string, body: t.ChangeVotersRequest) =>
    post<t.ChangeVotersResponse>(path`/cluster/groups/${group}/voters`, body),
  move: (group: string, body: t.MoveReplicaRequest) => post<t.MoveReplicaResponse>(path`/cluster/groups/${group}/move`, body),
  addGroups: (body: t.AddBrokerGroupsRequest) => post<t.AddBrokerGroupsResponse>("/cluster/groups", body),
  removeNode: (node: string | number) => del<t.RemoveNodeResponse>(path`/cluster/nodes/${node}`),
  planRebalance: (leadersOnly: boolean, s?: Stop) => get<t.PlanRebalanceResponse>("/cluster/rebalance", { leaders_only: leadersOnly }, s),
  raiseFeatureLevel: (body: t.RaiseFeatureLevelRequest = {}) =>
    post<t.RaiseFeatureLevelResponse>("/cluster/feature-level", body),
};

export const access = {
  users: (query: { name?: string } = {}, s?: Stop) => get<t.ListUsersResponse>("/users", query, s),
  create: (body: t.CreateUserRequest) => post<t.UserResponse>("/users", body),
  update: (name: string, body: t.UpdateUserRequest) => patch<t.UserResponse>(path`/users/${name}`, body),
  remove: (name: string) => del<Nothing>(path`/users/${name}`),
  setRule: (user: string, body: t.SetRuleRequest) => put<Nothing>(path`/users/${user}/rules`, body),
  deleteRules: (user: string, query: { resource: string; deny?: boolean }) =>
    del<t.DeleteRulesResponse>(path`/users/${user}/rules`, query),
  test: (user: string, body: t.TestAccessRequest) => post<t.TestAccessResponse>(path`/users/${user}/test`, body),
};
