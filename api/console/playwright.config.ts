// The console in a real browser (Debian's Chromium), over real clusters: `make check-console`.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "test",
  outputDir: process.env["CONSOLE_ARTIFACTS"] ?? "../../target/console",
  // Each worker has clusters of its own; two are what two cores carry, since tests wait a lot.
  workers: Number(process.env["CONSOLE_WORKERS"] ?? 2),
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  use: {
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1280, height: 900 },
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
