"""Which folders hold the code of tests."""

import re

TEST_WORDS = frozenset({"test", "tests", "testing", "unittest", "unittests", "it", "its", "jmh", "spec", "fixtures"})
"""Words in the name of a source root (`src/integrationTest/java`) whose classes serve tests and are not tested."""
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def lies_with_tests(path: str, package: str) -> bool:
    """Return whether a file lies in a source root of tests; the folders of its package say nothing of it."""
    folders = path.split("/")[:-1]
    inner = package.split(".") if package else []
    if inner and folders[-len(inner) :] == inner:
        folders = folders[: -len(inner)]
    if "src" in folders[:-1]:
        # The source set: `src/main/java`, `src/testFixtures/java`.
        last = len(folders) - 1 - folders[::-1].index("src")
        folders = folders[last + 1 : last + 2] or folders
    return any(word.lower() in TEST_WORDS for folder in folders for word in WORDS.findall(folder))
