import type { VNode } from "preact";

// Strokes on a field of 16 by 16.
const SHAPES = {
  menu: "M2 4h12M2 8h12M2 12h12",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  check: "M3 8.5l3.2 3.2L13 5",
  ok: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8M5 8.2l2.2 2.2L11 6.4",
  warn: "M8 2L14.5 13.5h-13zM8 6.5v3.2M8 11.4v.4",
  bad: "M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  info: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8M8 7.2v4M8 4.6v.4",
  none: "M3 8h10",
  up: "M4 9.5L8 5.5l4 4",
  down: "M4 6.5l4 4 4-4",
  updown: "M5 6.3L8 3.3l3 3M5 9.7l3 3 3-3",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  auto: "M2 3h12v8H2zM6 14h4M8 11v3",
  light: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9L13 13M13 3l-1.1 1.1M4.1 11.9L3 13",
  dark: "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6z",
  user: "M8 2.5a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M2.5 14c.6-2.6 2.7-4 5.5-4s4.9 1.4 5.5 4",
  overview: "M2 2h5v6H2zM9 2h5v3H9zM9 7h5v7H9zM2 10h5v4H2z",
  cluster: "M8 1.8a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M3.6 10.4a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M12.4 10.4a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M7.2 5.2l-2.7 5.3M8.8 5.2l2.7 5.3M5.4 12.2h5.2",
  topics: "M2 3.5h12M2 8h12M2 12.5h8",
  groups: "M5.5 3a2.3 2.3 0 1 1 0 4.6 2.3 2.3 0 0 1 0-4.6M1.2 13.5c.5-2.6 2-3.9 4.3-3.9s3.8 1.3 4.3 3.9M10.8 3.4a2 2 0 0 1 0 3.9M11.6 9.8c1.7.3 2.8 1.5 3.2 3.7",
  messages: "M2 3.5h12v9H2zM2 4.5l6 4.5 6-4.5",
  deadLetters: "M2 6.5h12v7H2zM2 6.5L4 2.5h8l2 4M6 9l4 3M10 9l-4 3",
  timers: "M8 3.2a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 3.2M8 5.8v3l2 1.2M6.2 1.2h3.6",
  transactions: "M2 5.5h11L10 2.5M14 10.5H3l3 3",
  access: "M3.5 7h9v7h-9zM5.5 7V4.6a2.5 2.5 0 0 1 5 0V7M8 9.8v1.6",
  doctor: "M1.5 8.5h3l1.8-5 3 9.5 1.9-4.5h3.3",
} as const;

export type IconName = keyof typeof SHAPES;

/** A small drawing beside a text; screen readers pass over it. */
export function Icon(props: { name: IconName }): VNode {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[props.name]} />
    </svg>
  );
}
