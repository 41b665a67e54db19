"""Drives Snakemake in a copy of the project, and reads what it would run from its dry run."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from preloaded import ENVIRONMENT, python

PROJECT = Path(__file__).parents[2]
COPIED = ("Snakefile", "config.yaml", "workflow", "profiles")
TERMINAL = "terminal.txt"
"""File of the finished project with what its run said."""
TINY = PROJECT / "tests" / "workflow" / "tiny.yaml"
JOB = re.compile(r"^(?:local)?rule (?P<rule>\w+):\n(?P<body>(?:    .*\n)*)", re.MULTILINE)
WILDCARDS = re.compile(r"^    wildcards: (?P<values>.*)$", re.MULTILINE)


@dataclass
class Project:
    """A copy of the project's workflow; `config` is merged over the tiny run's config at every call."""

    folder: Path

    @classmethod
    def copied_to(cls, folder: Path) -> "Project":
        folder.mkdir(parents=True)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy2(source, folder / name)
        shutil.copy2(TINY, folder / "tiny.yaml")
        # The conda files name the lock two folders up; nothing reads it, but its place must exist.
        return cls(folder)

    def snakemake(
        self, *arguments: str, tiny: bool = True, timeout: float = 900, **config: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake, for `timeout` seconds at most; `config` stands for a further config file."""
        files = ["tiny.yaml"] if tiny else []
        if config:
            (self.folder / "edit.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
            files.append("edit.yaml")
        named = ["--configfile", *files] if files else []
        return subprocess.run(
            [python(), "-m", "snakemake", *arguments, *named],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | ENVIRONMENT,
        )

    def planned(self, *arguments: str, profile: str = "local", **config: Any) -> set[str]:
        """Return the jobs of a dry run, as `rule` or `rule wildcard=value, …` without the run's name."""
        plan = self.snakemake("--profile", f"profiles/{profile}", "--dry-run", *arguments, **config)
        assert plan.returncode == 0, plan.stdout + plan.stderr
        jobs = set()
        for job in JOB.finditer(plan.stdout + "\n"):
            found = WILDCARDS.search(job["body"])
            values = [value for value in found["values"].split(", ") if not value.startswith("run=")] if found else []
            jobs.add(" ".join([job["rule"], *values]))
        return jobs
