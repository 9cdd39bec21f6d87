export type AccessAction = "publish" | "subscribe" | "create" | "update" | "delete" | "get" | "list";

export interface AccessRule {
  /** topic:NAME, group:NAME, namespace:NAME, cluster:NAME; NAME may end in *; or * for everything. */
  resource: string;
  actions: AccessAction[];
  /** Empty: from everywhere. */
  sources: string[];
  /** It forbids, else it allows. */
  deny: boolean;
}

export interface User {
  name: string;
  admin: boolean;
  enabled: boolean;
  created_unix_ms: number;
  rules: AccessRule[];
}

export interface CreateUserRequest {
  name: string;
  /** Empty: one is made, and answered. */
  secret?: string;
  admin?: boolean;
}

export interface UpdateUserRequest {
  secret?: string;
  new_secret?: boolean;
  admin?: boolean;
  enabled?: boolean;
}

export interface UserResponse {
  user: User;
  /** The secret that was made. It is not shown again. */
  secret: string;
}

export interface ListUsersResponse {
  users: User[];
}

export interface SetRuleRequest {
  rule: AccessRule;
  must_exist?: boolean;
  must_not_exist?: boolean;
}

export interface DeleteRulesResponse {
  deleted: number;
}

export interface TestAccessRequest {
  action: AccessAction;
  resource: string;
  /** Empty: 127.0.0.1. */
  source?: string;
}

export interface TestAccessResponse {
  allowed: boolean;
  why: string;
  rule?: AccessRule | null;
}
