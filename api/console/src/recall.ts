/** Reads what was remembered in this browser; null if nothing was, or if storage is forbidden. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`ledgermq.${key}`);
  } catch {
    return null;
  }
}

/** Remembers a choice in this browser, if storage is allowed. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`ledgermq.${key}`, value);
  } catch {
    // A private window: the choice lasts as long as the page.
  }
}
