// What a reset would do, by where a consumer group is and where it would be.
import type { GroupQueueStatus } from "../../api/types";

export interface Move {
  queue: number;
  /** Null: it has not begun, and where it would begin is known then only. */
  from: number | null;
  to: number;
  begun: boolean;
  /** Settled messages that would be delivered again. */
  again: number;
  /** Unsettled messages that would not be delivered. */
  skipped: number;
}

export interface Moves {
  moves: Move[];
  again: number;
  skipped: number;
  /** Queues in which it has not begun, and would begin there. */
  begins: number;
  in_flight: number;
}

/** Compares the places of the queues; `only`: of one queue; `fromFirst`: where it has not begun, it would with the first message. */
export function movesOf(now: readonly GroupQueueStatus[], then: readonly GroupQueueStatus[], only: number | null, fromFirst: boolean): Moves {
  const before = new Map(now.map((status) => [status.queue, status]));
  const sum: Moves = { moves: [], again: 0, skipped: 0, begins: 0, in_flight: 0 };
  for (const target of then) {
    const status = before.get(target.queue);
    if (!status || (only !== null && only !== target.queue)) continue;
    // What is gone cannot be delivered again.
    const from = status.begun || fromFirst ? Math.max(status.settled_offset, status.first_offset) : null;
    const to = Math.max(target.settled_offset, target.first_offset);
    const move = { queue: target.queue, from, to, begun: status.begun, again: Math.max(0, (from ?? to) - to), skipped: Math.max(0, to - (from ?? to)) };
    sum.moves.push(move);
    sum.again += move.again;
    sum.skipped += move.skipped;
    sum.begins += status.begun ? 0 : 1;
    sum.in_flight += status.in_flight;
  }
  return sum;
}
