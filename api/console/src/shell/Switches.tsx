import type { VNode } from "preact";
import { useText } from "../i18n";
import { setLanguage, useLanguage } from "../i18n/language";
import { setTheme, useTheme, type Theme } from "../theme";
import { Icon } from "../ui/Icon";

/** The other language, in its own words. */
export function LanguageSwitch(): VNode {
  const t = useText();
  const other = useLanguage() === "en" ? "zh" : "en";
  return (
    <button
      type="button"
      class="button plain"
      lang={other === "zh" ? "zh-Hans" : "en"}
      aria-label={`${t.shell.switchLanguageShort}: ${t.shell.switchLanguage}`}
      title={t.shell.switchLanguage}
      onClick={() => setLanguage(other)}
    >
      {t.shell.switchLanguageShort}
    </button>
  );
}

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

/** Steps through the themes. */
export function ThemeSwitch(): VNode {
  const t = useText();
  const theme = useTheme();
  const label = `${t.shell.theme[theme]}; ${t.shell.themeNext[theme]}`;
  return (
    <button type="button" class="button plain" aria-label={label} title={label} onClick={() => setTheme(NEXT[theme])}>
      <Icon name={theme} />
    </button>
  );
}
