"""A hostile jar on the class path: its annotation processor, compiler plugin and service reach nothing outside."""

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from outside import Outside, outside

from assertkd.evaluation.execution import pool as pool_module
from assertkd.evaluation.execution import process
from assertkd.evaluation.execution.compiler import Compiler, Unit
from assertkd.evaluation.execution.confine import CannotConfineError
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import PASSED, Runner, TestOutcome

pytestmark = [pytest.mark.java, pytest.mark.hostile]

REACH = """package hostile;
import java.io.IOException;
import java.net.Socket;
import java.nio.file.*;
import java.util.*;
import java.util.stream.Stream;
public class Reach {
    interface Attempt { void make() throws IOException; }
    public static String reached() {
        Map<String, Attempt> attempts = new LinkedHashMap<>();
        attempts.put("read", () -> Files.readString(Path.of("OUTSIDE/secret")));
        attempts.put("write", () -> Files.createTempFile(Path.of("OUTSIDE"), "mine", null));
        attempts.put("connect", () -> new Socket("127.0.0.1", PORT).close());
        attempts.put("process", () -> new ProcessBuilder(System.getProperty("java.home") + "/bin/java").start());
        attempts.put("change", () -> {
            try (Stream<Path> found = Files.walk(Path.of(System.getProperty("java.io.tmpdir")).getParent())) {
                for (Path one : found.filter(path -> path.endsWith("Runner.class")).toArray(Path[]::new)) {
                    Files.writeString(one.resolveSibling("mine"), "x");
                    return;
                }
            }
            throw new IOException();
        });
        String reached = System.getProperty("early.processor", "") + System.getProperty("early.plugin", "");
        for (String name : attempts.keySet()) {
            try {
                attempts.get(name).make();
                reached += " " + name;
            } catch (IOException | java.io.UncheckedIOException refused) {
            }
        }
        return reached.trim();
    }
}
"""

MAKER = """package hostile;
import java.io.*;
import java.util.Set;
import javax.annotation.processing.*;
import javax.lang.model.SourceVersion;
import javax.lang.model.element.*;
@SupportedAnnotationTypes("*")
public class Maker extends AbstractProcessor {
    @Override public SourceVersion getSupportedSourceVersion() { return SourceVersion.latest(); }
    @Override public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
        for (Element element : round.getRootElements()) {
            if (element.toString().startsWith("assertkd.")) System.setProperty("early.processor", " processor");
            if (!element.getSimpleName().contentEquals("ATest")) continue;
            try (Writer writer = processingEnv.getFiler().createSourceFile("p.Made", element).openWriter()) {
                writer.write("package p; class Made { static final String REACHED = \\"" + Reach.reached() + "\\"; }");
            } catch (IOException fault) {
                throw new UncheckedIOException(fault);
            }
        }
        return false;
    }
}
"""

PLUGGED = """package hostile;
import com.sun.source.util.*;
public class Plugged implements Plugin {
    public String getName() { return "plugged"; }
    public boolean autoStart() { return true; }
    public void init(JavacTask task, String... arguments) {
        task.addTaskListener(new TaskListener() {
            public void started(TaskEvent event) {
                if (!String.valueOf(event.getSourceFile()).contains("Runner")) return;
                System.setProperty("early.plugin", " plugin");
            }
        });
    }
}
"""

LISTENER = """package hostile;
public class Listener implements org.junit.platform.launcher.TestExecutionListener {
    public static String reached = "not asked";
    public void testPlanExecutionStarted(org.junit.platform.launcher.TestPlan plan) { reached = Reach.reached(); }
}
"""

SERVICES = {
    "javax.annotation.processing.Processor": "hostile.Maker",
    "com.sun.source.util.Plugin": "hostile.Plugged",
    "org.junit.platform.launcher.TestExecutionListener": "hostile.Listener",
}

# What the processor reached, and what the service reached.
TESTS = {
    "ATest": (
        "package p; public class ATest { @org.junit.Test public void t() { "
        'org.junit.Assert.assertEquals("", Made.REACHED); } }'
    ),
    "BTest": (
        "package p; public class BTest { @org.junit.jupiter.api.Test public void t() { "
        'org.junit.jupiter.api.Assertions.assertEquals("", hostile.Listener.reached); } }'
    ),
}


@pytest.fixture(scope="module")
def around(toolchain: Toolchain) -> Iterator[Outside]:
    if not any("launcher" in jar.name for jar in toolchain.junit):
        pytest.skip("no JUnit 5")
    with outside() as made:
        yield made


@pytest.fixture(scope="module")
def hostile(pool: ExecutionPool, around: Outside) -> Path:
    """Return a jar with all of them."""
    sources = {"Reach": around.aimed(REACH), "Maker": MAKER, "Plugged": PLUGGED, "Listener": LISTENER}
    unit = Unit(pool.new_folder(), {f"hostile/{name}.java": text for name, text in sources.items()})
    assert pool.compile([unit]) == [None]
    jar = around.folder.with_name("hostile.jar")
    with zipfile.ZipFile(jar, "w") as archive:
        for path in unit.folder.rglob("*.class"):
            archive.write(path, path.relative_to(unit.folder))
        for service, name in SERVICES.items():
            archive.writestr(f"META-INF/services/{service}", f"{name}\n")
    jar.chmod(0o644)
    return jar


def outcomes(toolchain: Toolchain, hostile: Path) -> dict[str, TestOutcome]:
    """Return how the tests end that ask what was reached."""
    with ExecutionPool(toolchain, [hostile], workers=1, unconfined=True) as pool:
        units = {name: Unit(pool.new_folder(), {f"p/{name}.java": text}) for name, text in TESTS.items()}
        assert pool.compile(list(units.values())) == [None, None]

        def run(name: str, runner: Runner) -> TestOutcome:
            return runner.run(f"p.{name}", "t", [units[name].folder], 30.0)

        found = pool.each(TESTS, lambda batch: [partial(run, name) for name in batch])
        return dict(zip(TESTS, found, strict=True))


def test_what_a_hostile_jar_runs_reaches_nothing(toolchain: Toolchain, hostile: Path, around: Outside) -> None:
    for name, outcome in outcomes(toolchain, hostile).items():
        assert outcome.ended == PASSED, f"{name}: {outcome.message}"
    assert around.touched() == []


def test_it_reaches_what_is_outside_where_nothing_confines(
    toolchain: Toolchain, hostile: Path, around: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(java: Path) -> None:
        raise CannotConfineError("not here")

    monkeypatch.setattr(pool_module, "find_confinement", refuse)
    # As one user all the same, and with the program that runs tests processed too.
    for module in (pool_module, process):
        monkeypatch.setattr(module, "may_be_anybody", lambda: False)
    request = Compiler._request
    monkeypatch.setattr(Compiler, "_request", lambda self, units, _: request(self, units, True))
    for name, outcome in outcomes(toolchain, hostile).items():
        early = "processor plugin " if name == "ATest" else ""
        reached = outcome.message.partition("was:")[2].strip(" <[]>")
        assert reached == f"{early}read write connect process change", f"{name}: {outcome.message}"
