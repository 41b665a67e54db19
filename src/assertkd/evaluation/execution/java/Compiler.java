import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/**
 * A javac that stays warm. A request holds units, each of them one or more source files; all are compiled in one task,
 * a unit's classes into a folder of its own, and the reply says of each unit whether it compiled or what is wrong.
 *
 * <p>A request on standard input: the number of units (0 ends the program), then for each its folder, its number of
 * files, and for each file its path within the unit and its source. A reply on standard output: for each unit, in
 * order, an empty text or the first error. Numbers are big-endian ints; a text is its length in bytes and UTF-8.
 */
public final class Compiler {
    private final JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    private final StandardJavaFileManager files = javac.getStandardFileManager(null, Locale.ROOT, null);
    private final List<String> options = List.of(
        "-proc:none", "-nowarn", "-implicit:none", "-g:source,lines", "-Xmaxerrs", "1000000", "-sourcepath", "");

    /** What is compiled into one folder; {@code error} is its first error, or empty. */
    private static final class Unit {
        final Path folder;
        final List<Source> sources = new ArrayList<>();
        String error = "";

        Unit(Path folder) {
            this.folder = folder;
        }
    }

    /** A source file held in memory. */
    private static final class Source extends SimpleJavaFileObject {
        final Unit unit;
        final String text;

        Source(Unit unit, String path, String text) {
            super(URI.create("memory:///" + path), Kind.SOURCE);
            this.unit = unit;
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    /** A class file, written to its unit's folder. */
    private static final class ClassFile extends SimpleJavaFileObject {
        final Path path;

        ClassFile(Path path) {
            super(path.toUri(), Kind.CLASS);
            this.path = path;
        }

        @Override
        public java.io.OutputStream openOutputStream() throws IOException {
            Files.createDirectories(path.getParent());
            return Files.newOutputStream(path);
        }
    }

    /** Sends each class to the folder of the unit that its source is of. */
    private static final class ByUnit extends ForwardingJavaFileManager<StandardJavaFileManager> {
        ByUnit(StandardJavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                JavaFileManager.Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            return new ClassFile(((Source) sibling).unit.folder.resolve(name.replace('.', '/') + kind.extension));
        }
    }

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        // javac itself prints where it crashes.
        System.setOut(new PrintStream(java.io.OutputStream.nullOutputStream()));
        Compiler compiler = new Compiler();
        List<File> classPath = new ArrayList<>();
        for (String entry : arguments) {
            classPath.add(new File(entry));
        }
        compiler.files.setLocation(StandardLocation.CLASS_PATH, classPath);
        compiler.serve(in, out);
    }

    private void serve(DataInputStream in, DataOutputStream out) throws IOException {
        while (true) {
            List<Unit> units = new ArrayList<>();
            try {
                for (int left = in.readInt(); left > 0; left--) {
                    Unit unit = new Unit(Path.of(text(in)));
                    for (int sources = in.readInt(); sources > 0; sources--) {
                        unit.sources.add(new Source(unit, text(in), text(in)));
                    }
                    units.add(unit);
                }
            } catch (EOFException end) {
                return;
            }
            if (units.isEmpty()) {
                return;
            }
            compile(units);
            for (Unit unit : units) {
                byte[] error = unit.error.getBytes(StandardCharsets.UTF_8);
                out.writeInt(error.length);
                out.write(error);
            }
            out.flush();
        }
    }

    /** Compile units together; those with errors leave, and the others are compiled again, until no error is left. */
    private void compile(List<Unit> units) {
        List<Unit> remaining = units;
        while (!remaining.isEmpty()) {
            Map<Unit, String> errors = new LinkedHashMap<>();
            boolean done;
            try {
                done = attempt(remaining, errors);
            } catch (RuntimeException | StackOverflowError | AssertionError fault) {
                done = false;
                errors.clear();
                errors.put(null, "the compiler failed: " + fault.getClass().getSimpleName());
            }
            if (done) {
                return;
            }
            String nobodys = errors.remove(null);
            if (errors.isEmpty() && remaining.size() > 1) {
                // What fails cannot be told: look for it by halves.
                int middle = remaining.size() / 2;
                compile(remaining.subList(0, middle));
                compile(remaining.subList(middle, remaining.size()));
                return;
            }
            if (errors.isEmpty()) {
                errors.put(remaining.get(0), nobodys == null ? "not compiled, without a reason" : nobodys);
            }
            List<Unit> sound = new ArrayList<>();
            for (Unit unit : remaining) {
                String error = errors.get(unit);
                if (error == null) {
                    sound.add(unit);
                } else {
                    unit.error = error;
                    delete(unit.folder);
                }
            }
            remaining = sound;
        }
    }

    /** Compile once; put the first error of each unit, or under null one of no unit, into {@code errors}. */
    private boolean attempt(List<Unit> units, Map<Unit, String> errors) {
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        List<Source> sources = new ArrayList<>();
        units.forEach(unit -> sources.addAll(unit.sources));
        boolean done = javac.getTask(null, new ByUnit(files), found, options, null, sources).call();
        for (Diagnostic<? extends JavaFileObject> diagnostic : found.getDiagnostics()) {
            if (diagnostic.getKind() == Diagnostic.Kind.ERROR) {
                JavaFileObject source = diagnostic.getSource();
                Unit unit = source instanceof Source ? ((Source) source).unit : null;
                String message = diagnostic.getMessage(Locale.ROOT).lines().findFirst().orElse("an error");
                errors.putIfAbsent(unit, message.isEmpty() ? "an error" : message);
            }
        }
        return done;
    }

    private static void delete(Path folder) {
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted((one, other) -> other.compareTo(one)).forEach(path -> path.toFile().delete());
        } catch (IOException absent) {
            // Nothing of the unit was written.
        }
    }

    private static String text(DataInputStream in) throws IOException {
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
    }
}
