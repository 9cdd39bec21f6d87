#!/usr/bin/env python3
"""Whether the console has Chinese words for every sentence of a node, with the same gaps: api/src against i18n/zh/sentences.ts."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHINESE = ROOT / "api/console/src/i18n/zh/sentences.ts"
# `Sentence::new`, or one of the closures that call it.
MADE = re.compile(r'\b(?:Sentence::new|used|counted|left)\(\s*"(\w+)",\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
TRANSLATED = re.compile(r'^  (\w+): "(.*)",$', re.MULTILINE)
GAP = re.compile(r"\{(\w+)\}")


def said():
    """What nodes say: from codes to gaps."""
    found = {}
    for path in sorted((ROOT / "api/src").rglob("*.rs")):
        text = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        for code, template in MADE.findall(text):
            gaps = set(GAP.findall(template))
            if found.setdefault(code, gaps) != gaps:
                sys.exit(f"{path}: {code} is said with other gaps elsewhere")
    return found


def main():
    english = said()
    chinese = {code: set(GAP.findall(text)) for code, text in TRANSLATED.findall(CHINESE.read_text(encoding="utf-8"))}
    wrong = [f"{code} has no Chinese words" for code in english.keys() - chinese.keys()]
    wrong += [f"{code} is said by nobody" for code in chinese.keys() - english.keys()]
    both = english.keys() & chinese.keys()
    wrong += [f"{code} has the gaps {sorted(chinese[code])}, not {sorted(english[code])}" for code in both if chinese[code] != english[code]]
    if not english:
        wrong.append("no sentences were found: this check is broken")
    for line in sorted(wrong):
        print(f"{CHINESE.relative_to(ROOT)}: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
