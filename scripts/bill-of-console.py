#!/usr/bin/env python3
"""Adds what is bundled into the console to a bill of materials (CycloneDX 1.5) and prints it: FILE"""

import base64
import json
import pathlib
import sys

CONSOLE = pathlib.Path(__file__).resolve().parent.parent / "api/console"


def components():
    """The libraries that package.json names, as the lock file has them."""
    wanted = json.loads((CONSOLE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads((CONSOLE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in sorted(wanted):
        library = locked[f"node_modules/{name}"]
        algorithm, digest = library["integrity"].split("-", 1)
        purl = f"pkg:npm/{name}@{library['version']}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": library["version"],
            "scope": "required",
            "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}],
            "licenses": [{"expression": library["license"]}],
            "purl": purl,
        }


def main():
    bill = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    added = list(components())
    bill["components"] += added
    root = bill["metadata"]["component"]["bom-ref"]
    of_root = next(it for it in bill["dependencies"] if it["ref"] == root)
    of_root.setdefault("dependsOn", []).extend(it["bom-ref"] for it in added)
    bill["dependencies"] += [{"ref": it["bom-ref"], "dependsOn": []} for it in added]
    json.dump(bill, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
