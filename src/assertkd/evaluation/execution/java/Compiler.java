import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
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
 * A javac that stays warm. A request holds units, each of them one or more source files; a unit's classes go into a
 * folder of its own, and the reply says of each unit whether it compiled or what is wrong.
 *
 * <p>Units do not see each other. Those that cannot are compiled in one task, which is ten times as fast as a task for
 * each: no unit of a task may name what another declares, nor declare what is on the class path, because classes there
 * may refer to it. Where the class path has annotation processors, every unit has a task of its own. A unit that fails
 * beside others is compiled alone before it is blamed.
 *
 * <p>The program's arguments are two named pipes, the first for requests, the second for replies, and class path
 * entries. Its first reply is the line {@code ready}. A request: the number of units (0 ends the program), then for each
 * its folder, its number of files, and for each file its path within the unit and its source. A reply: for each unit, in
 * order, an empty text or the first error. Numbers are big-endian ints; a text is its length in bytes and UTF-8.
 */
public final class Compiler {
    private final JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    private final StandardJavaFileManager files = javac.getStandardFileManager(null, Locale.ROOT, null);
    private final boolean processes;
    private final List<String> options = new ArrayList<>(List.of(
        "-nowarn", "-implicit:none", "-g:source,lines", "-Xmaxerrs", "1000000", "-sourcepath", ""));

    /** Room for the compiler's recursion: a chain of calls is as deep as it is long. With more it takes minutes. */
    private static final long STACK_BYTES = 32L << 20;

    private static final String PROCESSORS = "META-INF/services/javax.annotation.processing.Processor";
    private static final Pattern IDENTIFIER = Pattern.compile("\\p{javaJavaIdentifierStart}\\p{javaJavaIdentifierPart}*");
    private static final String BLANK = "(?:\\s|/\\*.*?\\*/|//[^\\n\\r]*[\\n\\r])";
    private static final Pattern DECLARED = Pattern.compile(
        "\\b(?:class|interface|enum|record)" + BLANK + "+(" + IDENTIFIER + ")", Pattern.DOTALL);
    private static final Pattern ON_DEMAND = Pattern.compile("\\bimport\\s+(?:static\\s+)?([\\w.$\\s]+)\\.\\s*\\*");

    /** What is compiled into one folder; {@code error} is its first error, or empty. */
    private static final class Unit {
        final Path folder;
        final List<Source> sources = new ArrayList<>();
        final Names names = new Names();
        String error = "";

        Unit(Path folder) {
            this.folder = folder;
        }
    }

    /** What sources declare and mention, or may: too much is no fault. */
    private static final class Names {
        final Set<String> mentioned = new HashSet<>();
        final Set<String> declared = new HashSet<>();
        final Set<String> packages = new HashSet<>();
        final Set<String> onDemand = new HashSet<>();

        void read(String path, String text) {
            String folder = path.substring(0, path.lastIndexOf('/') + 1).replace('/', '.');
            IDENTIFIER.matcher(text).results().forEach(match -> mentioned.add(match.group()));
            DECLARED.matcher(text).results().forEach(match -> declared.add(folder + match.group(1)));
            ON_DEMAND.matcher(text).results().forEach(match -> onDemand.add(match.group(1).replaceAll("\\s", "")));
            for (int end = folder.indexOf('.'); end >= 0; end = folder.indexOf('.', end + 1)) {
                packages.add(folder.substring(0, end));
            }
        }

        void add(Names other) {
            mentioned.addAll(other.mentioned);
            declared.addAll(other.declared);
            packages.addAll(other.packages);
            onDemand.addAll(other.onDemand);
        }

        /** Return whether the compiler could take a type or package of the others for what these sources mean. */
        boolean mayMean(Names others) {
            return others.declared.stream().anyMatch(name -> mentioned.containsAll(List.of(name.split("\\."))))
                || onDemand.stream().anyMatch(name -> others.packages.contains(name) && !packages.contains(name));
        }
    }

    /** A source file held in memory. */
    private static final class Source extends SimpleJavaFileObject {
        final Unit unit;
        final String path;
        final String text;

        Source(Unit unit, String path, String text) {
            super(URI.create("memory:///" + path), Kind.SOURCE);
            this.unit = unit;
            this.path = path;
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    /** A class file, or what a processor generates, written to its unit's folder. */
    private static final class Output extends SimpleJavaFileObject {
        final Path path;

        Output(Path path, Kind kind) {
            super(path.toUri(), kind);
            this.path = path;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) throws IOException {
            return Files.readString(path);
        }

        @Override
        public java.io.InputStream openInputStream() throws IOException {
            return Files.newInputStream(path);
        }

        @Override
        public java.io.OutputStream openOutputStream() throws IOException {
            Files.createDirectories(path.getParent());
            return Files.newOutputStream(path);
        }
    }

    /** Sends each class to the folder of the unit that its source is of, and what is generated to that of the first. */
    private static final class ByUnit extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Unit first;

        ByUnit(StandardJavaFileManager files, Unit first) {
            super(files);
            this.first = first;
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                JavaFileManager.Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            return output(name.replace('.', '/') + kind.extension, kind, sibling);
        }

        @Override
        public FileObject getFileForOutput(
                JavaFileManager.Location location, String packageName, String relativeName, FileObject sibling) {
            String folder = packageName.isEmpty() ? "" : packageName.replace('.', '/') + "/";
            return output(folder + relativeName, JavaFileObject.Kind.OTHER, sibling);
        }

        private Output output(String path, JavaFileObject.Kind kind, FileObject sibling) {
            Unit unit = sibling instanceof Source ? ((Source) sibling).unit : first;
            return new Output(unit.folder.resolve(path), kind);
        }
    }

    private Compiler(List<File> classPath) throws IOException {
        files.setLocation(StandardLocation.CLASS_PATH, classPath);
        processes = files.getClassLoader(StandardLocation.CLASS_PATH).getResource(PROCESSORS) != null;
        if (!processes) {
            options.add("-proc:none");
        } else if (Runtime.version().feature() >= 21) {
            options.add("-proc:full");
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(arguments[1])));
        DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(arguments[0])));
        List<File> classPath = new ArrayList<>();
        for (String entry : Arrays.asList(arguments).subList(2, arguments.length)) {
            classPath.add(new File(entry));
        }
        Compiler compiler = new Compiler(classPath);
        out.writeBytes("ready\n");
        out.flush();
        Runnable serving = () -> {
            try {
                compiler.serve(in, out);
            } catch (IOException gone) {
                // Who asked has ended.
            }
        };
        Thread thread = new Thread(null, serving, "compiler", STACK_BYTES);
        thread.start();
        thread.join();
    }

    private void serve(DataInputStream in, DataOutputStream out) throws IOException {
        while (true) {
            List<Unit> units = new ArrayList<>();
            try {
                for (int left = in.readInt(); left > 0; left--) {
                    Unit unit = new Unit(Path.of(text(in)));
                    for (int sources = in.readInt(); sources > 0; sources--) {
                        Source source = new Source(unit, text(in), text(in));
                        unit.sources.add(source);
                        unit.names.read(source.path, source.text);
                    }
                    units.add(unit);
                }
            } catch (EOFException end) {
                return;
            }
            if (units.isEmpty()) {
                return;
            }
            for (List<Unit> group : strangers(units)) {
                compile(group);
            }
            for (Unit unit : units) {
                byte[] error = unit.error.getBytes(StandardCharsets.UTF_8);
                out.writeInt(error.length);
                out.write(error);
            }
            out.flush();
        }
    }

    /** Return the units in groups of which no unit can see another. */
    private List<List<Unit>> strangers(List<Unit> units) throws IOException {
        List<List<Unit>> groups = new ArrayList<>();
        List<List<Unit>> open = new ArrayList<>();
        List<Names> names = new ArrayList<>();
        for (Unit unit : units) {
            int place = 0;
            boolean alone = mustBeAlone(unit);
            while (!alone && place < open.size()
                    && (unit.names.mayMean(names.get(place)) || names.get(place).mayMean(unit.names))) {
                place++;
            }
            if (alone) {
                groups.add(List.of(unit));
                continue;
            }
            if (place == open.size()) {
                open.add(new ArrayList<>());
                names.add(new Names());
            }
            open.get(place).add(unit);
            names.get(place).add(unit.names);
        }
        groups.addAll(open);
        return groups;
    }

    /** Return whether a unit declares what is on the class path, has escapes for letters of names, or is processed. */
    private boolean mustBeAlone(Unit unit) throws IOException {
        if (processes || unit.sources.stream().anyMatch(source -> source.text.contains("\\u"))) {
            return true;
        }
        for (String name : unit.names.declared) {
            if (files.getJavaFileForInput(StandardLocation.CLASS_PATH, name, JavaFileObject.Kind.CLASS) != null) {
                return true;
            }
        }
        return false;
    }

    /** Compile units together; those with errors are compiled alone, and the others again, until no error is left. */
    private void compile(List<Unit> units) {
        Map<Unit, String> errors = new LinkedHashMap<>();
        if (units.isEmpty() || attempt(units, errors)) {
            return;
        }
        if (units.size() == 1) {
            Unit unit = units.get(0);
            String nobodys = errors.getOrDefault(null, "not compiled, without a reason");
            unit.error = errors.getOrDefault(unit, nobodys);
            delete(unit.folder);
            return;
        }
        errors.remove(null);
        if (errors.isEmpty()) {
            // What fails cannot be told: look for it by halves.
            int middle = units.size() / 2;
            compile(units.subList(0, middle));
            compile(units.subList(middle, units.size()));
            return;
        }
        List<Unit> sound = new ArrayList<>(units);
        sound.removeAll(errors.keySet());
        errors.keySet().forEach(unit -> delete(unit.folder));
        compile(sound);
        errors.keySet().forEach(unit -> compile(List.of(unit)));
    }

    /** Compile once; put the first error of each unit, or under null one of no unit, into {@code errors}. */
    private boolean attempt(List<Unit> units, Map<Unit, String> errors) {
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        StringWriter said = new StringWriter();
        List<Source> sources = new ArrayList<>();
        units.forEach(unit -> sources.addAll(unit.sources));
        boolean done;
        try {
            done = javac.getTask(said, new ByUnit(files, units.get(0)), found, options, null, sources).call();
        } catch (RuntimeException | StackOverflowError | AssertionError fault) {
            errors.put(null, failure(fault.toString()));
            return false;
        }
        for (Diagnostic<? extends JavaFileObject> diagnostic : found.getDiagnostics()) {
            if (diagnostic.getKind() == Diagnostic.Kind.ERROR) {
                JavaFileObject source = diagnostic.getSource();
                Unit unit = source instanceof Source ? ((Source) source).unit : null;
                String message = diagnostic.getMessage(Locale.ROOT).lines().findFirst().orElse("an error");
                errors.putIfAbsent(unit, message.isEmpty() ? "an error" : message);
            }
        }
        if (!done && errors.isEmpty() && said.getBuffer().length() > 0) {
            errors.put(null, failure(said.toString()));
        }
        return done;
    }

    /** Return what is wrong where the compiler itself fails, of what it says. */
    private static String failure(String said) {
        if (said.contains("StackOverflowError")) {
            return "an expression or statement is nested too deeply for the compiler";
        }
        return "the compiler failed: " + said.lines().filter(line -> !line.isBlank()).findFirst().orElse("");
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
