// Real clusters of real processes, on loopback.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** The broker under test. */
const BINARY = process.env["LEDGERMQ"] ?? "../../target/release/ledgermq";
/** Each node has so many ports above the one before. */
const PORTS_A_NODE = 10;

export interface ClusterNode {
  id: number;
  name: string;
  grpc: string;
  http: string;
  pid: number;
  alive: boolean;
}

interface Status {
  nodes: ClusterNode[];
  groups: { name: string; leader: number | null }[];
}

/** Whoever asks as this user. */
export interface Credentials {
  user: string;
  secret: string;
}

/** A cluster that a test may do anything with. */
export class Cluster {
  private constructor(
    private readonly data: string,
    private readonly basePort: number,
    readonly size: number,
    readonly admin: Credentials | null,
  ) {}

  /** `settings` are variables such as LEDGERMQ_TRANSACTIONS__CHECK_LIMIT, in place of a configuration. */
  static async start(size: number, options: { access?: boolean; settings?: Record<string, string> } = {}): Promise<Cluster> {
    const data = await mkdtemp(join(tmpdir(), "ledgermq-console-"));
    const basePort = await freePorts(size * PORTS_A_NODE);
    const flags = options.access ? ["--access"] : [];
    const where = ["--data", data, "--base-port", `${basePort}`];
    await ledgermq(["local", "start", "--nodes", `${size}`, "--detach", ...where, ...flags], options.settings);
    const secret = options.access ? await readFile(join(data, "access", "admin-secret"), "utf8") : "";
    return new Cluster(data, basePort, size, options.access ? { user: "admin", secret: secret.trim() } : null);
  }

  /** `http://host:port` of a node, by its id. */
  http(node = 1): string {
    return `http://127.0.0.1:${this.basePort + 1 + (node - 1) * PORTS_A_NODE}`;
  }

  /** `host:port` for gRPC of a node. */
  grpc(node = 1): string {
    return `127.0.0.1:${this.basePort + (node - 1) * PORTS_A_NODE}`;
  }

  status(): Promise<Status> {
    return ledgermq(["local", "status", "--data", this.data]) as Promise<Status>;
  }

  /** Runs the command line against this cluster, with `-o json`. */
  async command(...args: string[]): Promise<any> {
    return ledgermq([...args, "--endpoint", this.grpc()], this.credentials());
  }

  /** Begins a command that goes on until the caller ends it; its output can be read. */
  begin(...args: string[]): ChildProcess {
    const env = { ...process.env, ...this.credentials() };
    return spawn(BINARY, [...args, "--endpoint", this.grpc(), "-o", "json"], { env, stdio: ["ignore", "pipe", "inherit"] });
  }

  /** The key that secrets and sessions are sealed with. */
  async sealKey(): Promise<Buffer> {
    return Buffer.from((await readFile(join(this.data, "access", "seal-key"), "utf8")).trim(), "hex");
  }

  private credentials(): Record<string, string> {
    const user = this.admin;
    return user ? { LEDGERMQ_ACCESS_KEY: user.user, LEDGERMQ_SECRET_KEY: user.secret } : {};
  }

  /** Calls the HTTP API of a node. */
  async api(verb: string, path: string, body?: unknown, node = 1): Promise<any> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.admin) {
      const shown = Buffer.from(`${this.admin.user}:${this.admin.secret}`).toString("base64");
      headers["authorization"] = `Basic ${shown}`;
    }
    const init: RequestInit = { method: verb, headers };
    if (body !== undefined) init.body = JSON.stringify(body);
    const answer = await fetch(`${this.http(node)}/api/v1${path}`, init);
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${verb} ${path}: ${answer.status} ${JSON.stringify(told)}`);
    return told;
  }

  /** Kills a node's process, as a power failure would end it. */
  async kill(node: number): Promise<void> {
    const status = await this.status();
    const found = status.nodes.find((it) => it.id === node);
    if (!found) throw new Error(`there is no node ${node}`);
    process.kill(found.pid, "SIGKILL");
  }

  /** Starts a node again. */
  async restart(node: number): Promise<void> {
    await ledgermq(["local", "restart", `${node}`, "--data", this.data]);
  }

  async stop(): Promise<void> {
    await ledgermq(["local", "stop", "--data", this.data]);
    await rm(this.data, { recursive: true, force: true });
  }
}

async function ledgermq(args: string[], env: Record<string, string> = {}): Promise<unknown> {
  const { stdout } = await run(BINARY, [...args, "-o", "json"], {
    env: { ...process.env, LEDGERMQ_DISK__SPARE_BYTES: "0", ...env },
    maxBuffer: 64 << 20,
  });
  return stdout.trim() === "" ? null : JSON.parse(stdout.trim().split("\n").at(-1) ?? "null");
}

/** The first of so many ports that nobody listens on. Tests that run side by side choose from ranges of their own. */
async function freePorts(count: number): Promise<number> {
  const range = Number(process.env.TEST_PARALLEL_INDEX ?? 0) % 4;
  for (let tries = 0; tries < 50; tries++) {
    const first = 20_000 + 2_500 * range + Math.floor(Math.random() * (2_500 - count));
    const free = await Promise.all([...Array(count).keys()].map((at) => isFree(first + at)));
    if (free.every(Boolean)) return first;
  }
  throw new Error("there are no free ports");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
