/** What a user may do in the console; each includes the ones before. */
export type Role = "see" | "operate" | "administer";

export interface Session {
  access_control: boolean;
  /** Empty while access is not controlled. */
  user: string;
  role: Role;
  expires_unix_ms: number | null;
  cluster: string;
  node: { id: number; name: string };
  version: string;
}

export interface LoginRequest {
  user: string;
  secret: string;
}

/** gRPC's name of a status; `NETWORK` if the node did not answer at all. */
export type ErrorCode =
  | "CANCELLED" | "UNKNOWN" | "INVALID_ARGUMENT" | "DEADLINE_EXCEEDED" | "NOT_FOUND" | "ALREADY_EXISTS"
  | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED" | "FAILED_PRECONDITION" | "ABORTED" | "OUT_OF_RANGE"
  | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS" | "UNAUTHENTICATED" | "NETWORK";

export interface ErrorBody {
  error: { code: ErrorCode; message: string };
}
