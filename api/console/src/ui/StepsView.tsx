import type { VNode } from "preact";
import { number } from "../format";
import { useText } from "../i18n";
import { Button } from "./Button";
import { Icon } from "./Icon";
import { Progress } from "./Progress";
import { errorText } from "./States";
import type { Steps } from "./steps";

/** How far an action of several calls is, with a button that stops it; then how it ended. Nothing before it begins. */
export function StepsView(props: { steps: Steps; label: string; /** What is said once all is done. */ done?: string }): VNode | null {
  const t = useText().ui;
  const { now, stop } = props.steps;
  if (now.state === "idle") return null;
  const running = now.state === "running" || now.state === "stopping";
  const count = now.of === undefined ? (now.done ? number(now.done) : "") : t.stepsOf(now.done, now.of);
  return (
    <div class="steps">
      {running && <Progress label={props.label} done={now.done} of={now.of} detail={count} />}
      {running && now.what && <p class="muted">{now.what}</p>}
      {running && <Button onClick={stop} unusable={now.state === "stopping" ? t.stopping : ""}>{t.stop}</Button>}
      <div role="status">
        {now.state === "done" && <p class="steps-end ok"><Icon name="ok" />{props.done ?? t.stepsDone}</p>}
        {now.state === "stopped" && <p class="steps-end"><Icon name="info" />{t.stepsStopped} {count}</p>}
        {now.state === "failed" && <p class="form-error"><Icon name="bad" />{errorText(now.error)} {count && t.stepsSoFar(count)}</p>}
      </div>
    </div>
  );
}
