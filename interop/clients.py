"""The five official clients: how each is fetched, built and started. None of them is changed.

What they need is kept outside the checkout, under `${LEDGERMQ_CACHE:-~/.cache/ledgermq}`.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("LEDGERMQ_CACHE") or pathlib.Path.home() / ".cache" / "ledgermq")
PYTHON = CACHE / "interop-python" / "bin" / "python"


@dataclasses.dataclass(frozen=True)
class Language:
    name: str
    # Programs that must be on the machine.
    needs: tuple
    # Producers by mode, and kinds of consumers, that the client has.
    modes: tuple
    consumers: tuple
    # Tries a send once only.
    never_retries: bool = False
    # Its messages can have a priority.
    priorities: bool = True


LANGUAGES = (
    Language("python", (), ("sync", "async"), ("push", "simple")),
    Language("node", ("node", "npm"), ("sync", "async"), ("push", "simple")),
    Language("rust", ("cargo",), ("sync", "batch"), ("simple",), never_retries=True, priorities=False),
    Language("java", ("java", "javac", "mvn"), ("sync", "async"), ("push", "simple")),
    Language("go", ("go",), ("sync", "async"), ("push", "simple")),
)


def missing(language):
    return [program for program in language.needs if shutil.which(program) is None]


def run(*command, cwd=None, **environment):
    subprocess.run(
        list(map(str, command)), cwd=cwd, check=True, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
    )


def prepare_python():
    requirements = (HERE / "python" / "requirements.txt").read_text(encoding="utf-8").strip()
    stamp = CACHE / "interop-python" / "installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != requirements:
        shutil.rmtree(CACHE / "interop-python", ignore_errors=True)
        run(sys.executable, "-m", "venv", CACHE / "interop-python")
        run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "python" / "requirements.txt")
        stamp.write_text(requirements, encoding="utf-8")


def prepare_node():
    # npm installs beside the manifest, so the manifest goes to the cache.
    target = CACHE / "interop-node"
    target.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "node" / "package-lock.json").read_text(encoding="utf-8")
    stamp = target / "installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, target / name)
        run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=target)
        stamp.write_text(lock, encoding="utf-8")


def prepare_rust():
    run("cargo", "build", "--release", "--locked", "--quiet", cwd=HERE / "rust", CARGO_TARGET_DIR=str(CACHE / "interop-rust"))


def prepare_java():
    run("mvn", "-q", "-B", "-Dstyle.color=never", f"-Dinterop.build={CACHE / 'interop-java'}", "process-classes", cwd=HERE / "java")


def prepare_go():
    (CACHE / "interop-go").mkdir(parents=True, exist_ok=True)
    run("go", "build", "-o", CACHE / "interop-go" / "client", ".", cwd=HERE / "go")


PREPARE = {
    "python": prepare_python,
    "node": prepare_node,
    "rust": prepare_rust,
    "java": prepare_java,
    "go": prepare_go,
}


def prepare(language):
    CACHE.mkdir(parents=True, exist_ok=True)
    PREPARE[language.name]()


def java():
    classes, libraries = CACHE / "interop-java" / "classes", CACHE / "interop-java" / "lib"
    return ["java", "-XX:+UseSerialGC", "-Xmx256m", "-cp", f"{classes}:{libraries}/*"]


def command(language, home):
    return {
        "python": [PYTHON, "-u", HERE / "python" / "client.py"],
        "node": ["node", HERE / "node" / "client.js"],
        "rust": [CACHE / "interop-rust" / "release" / "interop"],
        "java": [*java(), f"-Duser.home={home}", "ledgermq.interop.Main"],
        "go": [CACHE / "interop-go" / "client"],
    }[language.name]


class Program:
    """One running client program: a few streams, a history file, and an end by closing its input."""

    def __init__(self, language, name, work, endpoint, rate, streams, environment):
        self.name = f"{language.name} {name}"
        self.streams = streams
        self.history = work / f"{language.name}-{name}.jsonl"
        self.history.touch()
        home = work / "home"
        home.mkdir(exist_ok=True)
        with open(work / f"{language.name}-{name}.log", "wb") as log:
            self.process = subprocess.Popen(
                [*map(str, command(language, home)), "--endpoint", endpoint, "--history", str(self.history),
                 "--client", language.name, "--rate", str(rate), *streams],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=work,
                # The clients log below the home directory.
                env={**os.environ, **environment, "HOME": str(home),
                     "INTEROP_NODE_MODULES": str(CACHE / "interop-node" / "node_modules")},
            )

    def events(self):
        """What was written so far; a last line that is still being written is left out."""
        lines = self.history.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def close(self, timeout):
        """Asks the program to end; kills it if it does not. Returns what it wrote."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.events()
