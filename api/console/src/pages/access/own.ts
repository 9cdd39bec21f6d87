import { session } from "../../api/calls";
import { ApiError } from "../../api/client";
import { startEvents, stopEvents } from "../../api/events";
import type { UserResponse } from "../../api/types";

const TRIES = 5;
const PAUSE_MS = 400;

/**
 * Changes the secret of the user who is logged in, and logs in with the new one. Without that the session would be over
 * with the next call, and the new secret gone before anybody has seen it.
 */
export async function stayIn(user: string, own: string, change: () => Promise<UserResponse>): Promise<UserResponse> {
  // The stream would notice at once that the session is over.
  stopEvents();
  try {
    const answer = await change();
    await logIn(user, own || answer.secret);
    return answer;
  } finally {
    startEvents();
  }
}

/** Another node may know the new secret a moment later. That it does not work out is no reason to hide the secret. */
async function logIn(user: string, secret: string): Promise<void> {
  for (let tried = 1; tried <= TRIES; tried++) {
    try {
      await session.login({ user, secret });
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await new Promise((resolve) => window.setTimeout(resolve, PAUSE_MS));
    }
  }
}
