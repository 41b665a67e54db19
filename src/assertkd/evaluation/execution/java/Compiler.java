import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
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
 * A javac that stays warm. A request holds units, each of them one or more source files; the reply has each unit's
 * classes, or what is wrong. Nothing is written to a disk.
 *
 * <p>Units do not see each other. Those that cannot are compiled in one task, which is ten times as fast as a task for
 * each: no unit of a task may name what another declares, nor declare what is on the class path, because classes there
 * may refer to it. Where annotation processors are run, every unit has a task of its own. A unit that fails beside
 * others is compiled alone before it is blamed.
 *
 * <p>The program's arguments are two named pipes, the first for requests, the second for replies, and class path
 * entries. Its first reply is the line {@code ready}. A request: 1 to run the class path's annotation processors, or 0;
 * the number of units, and for each its number of files, and for each file its path within the unit and its source. A
 * reply: FIRST_UNIT + n whenever the work goes on with unit number n, or SEVERAL_UNITS where it is not known with
 * which; DONE; then for each unit, in order, an empty text or the first error, its number of classes and other files, and for each its path within
 * the unit and its content. Numbers are big-endian ints; texts and contents follow their length in bytes; texts are
 * UTF-8.
 */
public final class Compiler {
    private final JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    private final StandardJavaFileManager files = javac.getStandardFileManager(null, Locale.ROOT, null);
    private final DataInputStream in;
    private final DataOutputStream out;
    private final List<File> classPath = new ArrayList<>();
    private final boolean hasProcessors;

    private static final int DONE = 0;
    private static final int SEVERAL_UNITS = 1;
    private static final int FIRST_UNIT = 2;
    private static final int LONGEST_ERROR = 2000;

    /** Room for the compiler's recursion: a chain of calls is as deep as it is long. With more it takes minutes. */
    private static final long STACK_BYTES = 32L << 20;

    private static final String PROCESSORS = "META-INF/services/javax.annotation.processing.Processor";
    private static final Pattern IDENTIFIER = Pattern.compile("\\p{javaJavaIdentifierStart}\\p{javaJavaIdentifierPart}*");
    private static final String BLANKS = "(?:\\s|/\\*.*?\\*/|//[^\\n\\r]*[\\n\\r])++";
    private static final Pattern DECLARED = Pattern.compile(
        "\\b(?:class|interface|enum|record)" + BLANKS + "(" + IDENTIFIER + ")", Pattern.DOTALL);
    private static final Pattern ON_DEMAND = Pattern.compile("\\bimport\\s+(?:static\\s+)?([\\w.$\\s]+)\\.\\s*\\*");

    /** Whether they are run for the units of this request. */
    private boolean processes;

    /** What is compiled together; {@code error} is its first error, or empty. */
    private static final class Unit {
        final int number;
        final List<Source> sources = new ArrayList<>();
        final Names names = new Names();
        final Map<String, Output> outputs = new LinkedHashMap<>();
        String error = "";

        Unit(int number) {
            this.number = number;
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
            super(URI.create("memory:///" + unit.number + "/" + path), Kind.SOURCE);
            this.unit = unit;
            this.path = path;
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    /** A class, or what a processor generates, held in memory. */
    private static final class Output extends SimpleJavaFileObject {
        byte[] content = {};

        Output(String path, Kind kind) {
            super(new File("/", path).toURI(), kind);
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return new String(content, StandardCharsets.UTF_8);
        }

        @Override
        public InputStream openInputStream() {
            return new ByteArrayInputStream(content);
        }

        @Override
        public OutputStream openOutputStream() {
            return new ByteArrayOutputStream() {
                @Override
                public void close() {
                    content = toByteArray();
                }
            };
        }
    }

    /** Gives each class to the unit that its source is of, and what is generated to the first. */
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
            return unit.outputs.computeIfAbsent(path, absent -> new Output(path, kind));
        }
    }

    /** Says where the work goes on, once for each kind of work on a unit: processors can repeat it without end. */
    private final class Progress implements TaskListener {
        private final List<Unit> units;
        private final Map<URI, Unit> byUri = new HashMap<>();
        private final Set<String> said = new HashSet<>();

        Progress(List<Unit> units) {
            this.units = units;
            units.forEach(unit -> unit.sources.forEach(source -> byUri.put(source.toUri(), unit)));
        }

        @Override
        public void started(TaskEvent event) {
            // An event has the source in the compiler's own wrapping, whose URI is the same.
            Unit unit = event.getSourceFile() == null ? null : byUri.get(event.getSourceFile().toUri());
            if (unit != null && said.add(event.getKind() + " " + unit.number)) {
                // All units' declarations are entered together.
                goesOnWith(event.getKind() == TaskEvent.Kind.ENTER ? onlyOne(units) : unit);
            }
        }
    }

    private Compiler(String[] arguments) throws IOException {
        out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(arguments[1])));
        in = new DataInputStream(new BufferedInputStream(new FileInputStream(arguments[0])));
        for (String entry : Arrays.asList(arguments).subList(2, arguments.length)) {
            classPath.add(new File(entry));
        }
        files.setLocation(StandardLocation.CLASS_PATH, classPath);
        hasProcessors = files.getClassLoader(StandardLocation.CLASS_PATH).getResource(PROCESSORS) != null;
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Compiler compiler = new Compiler(arguments);
        compiler.out.writeBytes("ready\n");
        compiler.out.flush();
        Thread thread = new Thread(null, compiler::serve, "compiler", STACK_BYTES);
        thread.start();
        thread.join();
    }

    private void serve() {
        try {
            while (true) {
                answer();
            }
        } catch (IOException gone) {
            // Who asked has ended.
        }
    }

    /** Read a request and write the reply. */
    private void answer() throws IOException {
        processes = in.readInt() == 1 && hasProcessors;
        // Without a path for processors, plugins of the class path would be run, even where no processors are.
        files.setLocation(StandardLocation.ANNOTATION_PROCESSOR_PATH, processes ? classPath : List.of());
        List<Unit> units = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            Unit unit = new Unit(units.size());
            for (int sources = in.readInt(); sources > 0; sources--) {
                unit.sources.add(new Source(unit, text(), text()));
            }
            units.add(unit);
        }
        for (List<Unit> group : independentGroups(units)) {
            compile(group);
        }
        out.writeInt(DONE);
        for (Unit unit : units) {
            String error = unit.error.substring(0, Math.min(unit.error.length(), LONGEST_ERROR));
            write(error.getBytes(StandardCharsets.UTF_8));
            out.writeInt(unit.outputs.size());
            for (Map.Entry<String, Output> output : unit.outputs.entrySet()) {
                write(output.getKey().getBytes(StandardCharsets.UTF_8));
                write(output.getValue().content);
            }
        }
        out.flush();
    }

    private String text() throws IOException {
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
    }

    private void write(byte[] content) throws IOException {
        out.writeInt(content.length);
        out.write(content);
    }

    /** Say which unit the work goes on with, or that it is none that is known. */
    private void goesOnWith(Unit unit) {
        try {
            out.writeInt(unit == null ? SEVERAL_UNITS : FIRST_UNIT + unit.number);
            out.flush();
        } catch (IOException gone) {
            throw new UncheckedIOException(gone);
        }
    }

    private static Unit onlyOne(List<Unit> units) {
        return units.size() == 1 ? units.get(0) : null;
    }

    /** Return the units in groups of which no unit can see another. */
    private List<List<Unit>> independentGroups(List<Unit> units) throws IOException {
        List<List<Unit>> groups = new ArrayList<>();
        List<List<Unit>> open = new ArrayList<>();
        List<Names> names = new ArrayList<>();
        for (Unit unit : units) {
            goesOnWith(unit);
            unit.sources.forEach(source -> unit.names.read(source.path, source.text));
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
            unit.outputs.clear();
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
        compile(sound);
        errors.keySet().forEach(unit -> compile(List.of(unit)));
    }

    /** Compile once; put the first error of each unit, or under null one of no unit, into {@code errors}. */
    private boolean attempt(List<Unit> units, Map<Unit, String> errors) {
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        StringWriter said = new StringWriter();
        List<Source> sources = new ArrayList<>();
        for (Unit unit : units) {
            unit.outputs.clear();
            sources.addAll(unit.sources);
        }
        boolean done;
        try {
            goesOnWith(onlyOne(units));
            JavacTask task = (JavacTask) javac.getTask(
                said, new ByUnit(files, units.get(0)), found, options(), null, sources);
            task.addTaskListener(new Progress(units));
            done = task.call();
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

    private List<String> options() {
        List<String> options = new ArrayList<>(List.of(
            "-nowarn", "-implicit:none", "-g:source,lines", "-Xmaxerrs", "1000000", "-sourcepath", ""));
        if (!processes) {
            options.add("-proc:none");
        } else if (Runtime.version().feature() >= 21) {
            options.add("-proc:full");
        }
        return options;
    }

    /** Return what is wrong where the compiler itself fails, of what it says. */
    private static String failure(String said) {
        if (said.contains("StackOverflowError")) {
            return "an expression or statement is nested too deeply for the compiler";
        }
        return "the compiler failed: " + said.lines().filter(line -> !line.isBlank()).findFirst().orElse("");
    }
}
