// Actions that take more than one call: with progress, and a way to stop between two calls.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";

/** How far an action is. */
export interface StepsProgress {
  done: number;
  /** Unset: it is not known how much there is to do. */
  of?: number;
  /** What is being done right now, for people. */
  what?: string;
}

/** What an action can ask and tell while it runs. */
export interface StepsControl {
  /** Somebody wants it to stop: make no further call. */
  readonly stopped: boolean;
  tell: (progress: StepsProgress) => void;
  /** Waits, or less if it is stopped. */
  wait: (ms: number) => Promise<void>;
}

export type StepsState =
  | { state: "idle" }
  | ({ state: "running" | "stopping" | "done" | "stopped" } & StepsProgress)
  | ({ state: "failed"; error: unknown } & StepsProgress);

export interface Steps {
  now: StepsState;
  /** Runs an action unless one runs already. Does not throw: how it ended is in `now`, and in what it gives. */
  start: (action: (control: StepsControl) => Promise<unknown>) => Promise<"done" | "stopped" | "failed">;
  /** Lets the call that runs end, and makes no further one. */
  stop: () => void;
  /** Forgets how it ended. */
  reset: () => void;
}

/** An action of several calls. It stops when the component goes. */
export function useSteps(): Steps {
  const [now, setNow] = useState<StepsState>({ state: "idle" });
  const running = useRef<Running | null>(null);
  const start = useCallback(async (action: (control: StepsControl) => Promise<unknown>) => {
    if (running.current) return "failed" as const;
    const run = new Running((progress) => setNow((s) => ({ ...progress, state: s.state === "stopping" ? "stopping" : "running" })));
    running.current = run;
    run.tell({ done: 0 });
    try {
      await action(run);
      const state = run.stopped ? "stopped" : "done";
      setNow({ ...run.progress, state });
      return state;
    } catch (error) {
      setNow({ ...run.progress, state: "failed", error });
      return "failed" as const;
    } finally {
      running.current = null;
    }
  }, []);
  const stop = useCallback(() => {
    if (!running.current) return;
    running.current.stop();
    setNow((s) => (s.state === "running" ? { ...s, state: "stopping" } : s));
  }, []);
  const reset = useCallback(() => !running.current && setNow({ state: "idle" }), []);
  useEffect(() => () => running.current?.stop(), []);
  return { now, start, stop, reset };
}

/** Whether an action runs. */
export function isRunning(steps: Steps): boolean {
  return steps.now.state === "running" || steps.now.state === "stopping";
}

class Running implements StepsControl {
  stopped = false;
  progress: StepsProgress = { done: 0 };
  private wake: (() => void) | null = null;

  constructor(private readonly told: (progress: StepsProgress) => void) {}

  tell(progress: StepsProgress): void {
    this.progress = progress;
    this.told(progress);
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  wait(ms: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = window.setTimeout(resolve, ms);
      this.wake = () => {
        window.clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Does something with each of a list, one after another. The first failure ends it. `act` gives null if it was stopped before it was done. */
export async function runSteps<S>(
  control: StepsControl,
  steps: readonly S[],
  act: (step: S, at: number) => Promise<unknown>,
  what?: (step: S) => string,
): Promise<void> {
  for (const [at, step] of steps.entries()) {
    control.tell({ done: at, of: steps.length, what: what?.(step) });
    if (control.stopped || (await act(step, at)) === null) return;
  }
  control.tell({ done: steps.length, of: steps.length });
}

const AGAIN_MS = 500;
// An election takes less. What is asked again and again loses nothing.
const PATIENCE_MS = 20_000;

/** Asks again until the answer is `done`, or it is stopped (then null). A node that is busy or away for a while is asked again too. */
export async function untilDone<R extends { done: boolean }>(
  control: StepsControl,
  ask: () => Promise<R>,
  progress?: (answer: R) => StepsProgress,
): Promise<R | null> {
  let failing = 0;
  while (!control.stopped) {
    try {
      const answer = await ask();
      failing = 0;
      if (progress) control.tell(progress(answer));
      if (answer.done) return answer;
    } catch (error) {
      failing ||= Date.now();
      if (!isPassing(error) || Date.now() - failing > PATIENCE_MS) throw error;
    }
    await control.wait(AGAIN_MS);
  }
  return null;
}

/** Whether the same call may well work in a moment. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && [0, 429, 503, 504].includes(error.status);
}
