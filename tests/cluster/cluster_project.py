"""A copy of the project whose jobs go to the cluster, through the profile as it is shipped."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from driver import TINY, Project
from slurm import Cluster

from preloaded import python

QUICKER = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")
"""In place of the profile's waits, which suit jobs of hours: all that its tests change of it."""


@dataclass
class ClusterProject:
    """A copy of the project whose jobs go to the cluster."""

    project: Project
    cluster: Cluster

    @property
    def folder(self) -> Path:
        return self.project.folder

    def interpreter(self) -> str:
        """Return the Python that runs Snakemake, here and in jobs, whose programs are no children of the jobs."""
        return python()

    def command(self, *arguments: str, config: dict[str, object] | None = None, run: str = "tiny") -> list[str]:
        """Return the command that runs the profile with `config` merged over the tiny run's."""
        (self.folder / "edit.yaml").write_text(yaml.safe_dump(config or {}), encoding="utf-8")
        files = ("--configfile", str(TINY), "edit.yaml", "--config", f"run={run}")
        return [self.interpreter(), "-m", "snakemake", "--profile", "profiles/delftblue", *QUICKER, *arguments, *files]

    def environment(self) -> dict[str, str]:
        """Return what a user's shell has; that jobs have no network is the workflow's business."""
        shell = self.cluster.environment() | {"OMP_NUM_THREADS": "1"}
        del shell["HF_HUB_OFFLINE"]
        return shell

    def attempt(
        self, *arguments: str, config: dict[str, object] | None = None, seconds: int = 1800, **environment: str
    ) -> tuple[int, str]:
        """Run it to its end and return its exit code and what it said."""
        done = subprocess.run(
            self.command(*arguments, config=config),
            cwd=self.folder,
            env=self.environment() | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
        return done.returncode, done.stdout

    def run(self, *arguments: str, config: dict[str, object] | None = None, seconds: int = 1800) -> str:
        """Run it to its end and return what it said.

        Raises:
            AssertionError: it did not end well; the message is what it said.
        """
        code, said = self.attempt(*arguments, config=config, seconds=seconds)
        assert code == 0, said
        return said
