/** Whether it is no number of attempts. */
export const attemptsWrong = (n: number | null): boolean => n === null || !Number.isInteger(n) || n < 1 || n > 10_000;

/** Whether it is no bound of messages in flight. Nothing, or 0: there is none. */
export const inFlightWrong = (n: number | null): boolean => n !== null && !(Number.isSafeInteger(n) && n >= 0);
