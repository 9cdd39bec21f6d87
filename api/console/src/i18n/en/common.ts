const common = {
  product: "LedgerMQ",
  justNow: "just now",
  ago: (span: string) => `${span} ago`,
  in: (span: string) => `in ${span}`,
  yes: "yes",
  no: "no",
  none: "none",
  node: "Node",
  unknown: "unknown",
  notFound: "There is no such page",
  notFoundHint: "The address may be mistyped, or of another version of the console.",
  toOverview: "Go to the overview",
  level: { ok: "OK", warn: "Warning", bad: "Critical" },
  role: { see: "may look", operate: "may operate", administer: "may administer" },
  needs: {
    see: "You may not look at this.",
    operate: "This needs the role “operate”. Ask an administrator.",
    administer: "This needs the role “administer”. Ask an administrator.",
  },
};

export default common;
