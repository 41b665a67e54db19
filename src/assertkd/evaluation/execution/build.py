"""The class path of a project's tests, as its build tool resolves it, without network."""

import os
import shutil
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

from assertkd.errors import UserError
from assertkd.java.projects import GRADLE_FILES

SECONDS = 600
"""How long a build tool may take."""

MAVEN_GOAL = "dependency:build-classpath"
MAVEN_SAYS = "Dependencies classpath:"
"""What Maven's goal prints before a module's class path, in a line of its own."""

GRADLE_TASK = "assertkdClassPath"
GRADLE_SAYS = "assertkd class path: "
GRADLE_SCRIPT = f"""allprojects {{
    afterEvaluate {{ project ->
        if (project.plugins.hasPlugin('java')) {{
            project.task('{GRADLE_TASK}') {{
                doLast {{ project.sourceSets.test.runtimeClasspath.files.each {{ println '{GRADLE_SAYS}' + it }} }}
            }}
        }}
    }}
}}
"""

REMEDY = "Build the project and its tests first, so that all they need is here, or name classes and jars yourself."


def class_path_of(project: Path) -> list[Path]:
    """Return the class path of the tests of a built project: its classes, its tests' classes, and all they need.

    Maven or Gradle is asked, without network: everything has to be in its local repository. Of a project with modules
    it is what all of them need.

    Raises:
        UserError: it is no project of these, the tool is missing or fails, or nothing is compiled.
    """
    if (project / "pom.xml").is_file():
        found = _of_maven(project)
    elif any((project / name).is_file() for name in GRADLE_FILES):
        found = _of_gradle(project)
    else:
        raise UserError(
            f"{project}: holds no pom.xml and no build.gradle, so that no build can be asked for its class path",
            "Name the classes and jars yourself.",
        )
    class_path = [path for path in dict.fromkeys(found) if path.exists()]
    if not any(path.is_dir() for path in class_path):
        raise UserError(f"{project}: holds no compiled classes", REMEDY)
    return class_path


def _of_maven(project: Path) -> list[Path]:
    lines = _answer(project, "mvn", "mvnw", ["-o", "-B", "-Dmdep.includeScope=test", MAVEN_GOAL])
    answers = [after for before, after in pairwise(lines) if before.endswith(MAVEN_SAYS)]
    modules = sorted(pom.parent for pom in project.rglob("pom.xml") if "target" not in pom.relative_to(project).parts)
    built = [module / "target" / name for module in modules for name in ("test-classes", "classes")]
    return [*built, *(Path(entry) for answer in answers for entry in answer.split(os.pathsep) if entry)]


def _of_gradle(project: Path) -> list[Path]:
    with tempfile.NamedTemporaryFile("w", suffix=".gradle", encoding="utf-8") as script:
        script.write(GRADLE_SCRIPT)
        script.flush()
        lines = _answer(project, "gradle", "gradlew", ["--offline", "-q", "-I", script.name, GRADLE_TASK])
    return [Path(line.removeprefix(GRADLE_SAYS)) for line in lines if line.startswith(GRADLE_SAYS)]


def _answer(project: Path, name: str, wrapper: str, arguments: list[str]) -> list[str]:
    """Return the lines that a build tool prints: the one on the PATH, or else the project's wrapper."""
    own = project.resolve() / wrapper
    tool = shutil.which(name) or (str(own) if os.access(own, os.X_OK) else None)
    if tool is None:
        raise UserError(
            f"{project}: {name} is needed to find its class path, and was not found",
            f"Install {name}, or name the classes and jars yourself.",
        )
    command = [tool, *arguments]
    asked = f"{project}: `{name} {' '.join(argument for argument in arguments if argument != '-B')}`"
    try:
        done = subprocess.run(
            command,
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        why = f"took longer than {SECONDS} s" if isinstance(fault, subprocess.TimeoutExpired) else str(fault)
        raise UserError(f"{asked} {why}", REMEDY) from None
    lines = [line.strip() for line in done.stdout.splitlines()]
    if done.returncode:
        said = (line.removeprefix("[ERROR]").strip() for line in lines if line.startswith(("[ERROR]", "*", ">")))
        last = next(filter(None, said), next(filter(None, reversed(lines)), f"exit status {done.returncode}"))
        raise UserError(f"{asked} failed: {last[:300]}", REMEDY)
    return lines
