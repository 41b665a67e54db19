package assertkd;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.annotation.Annotation;
import java.lang.reflect.Method;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;

/**
 * Runs single tests by their framework, one after the other, each with a class loader and a thread of its own.
 *
 * <p>The program's arguments are two named pipes and class path entries that every test sees behind its own. A request
 * is a line of the first pipe: a word that the reply repeats, the test's class, its method, and the folders of its
 * classes with the path separator between them; tabs between the four. A reply is a line into the second, the first of
 * all {@code ready}: the word, {@code passed}, {@code failed} or {@code not run}, {@code clean}, {@code threads} or
 * {@code changed} (what a test left behind: then this process is of no use any more), milliseconds, and what is wrong;
 * tabs between the five.
 *
 * <p>A test of an abstract class or an interface is run in every class of the same folders, and of the class path's,
 * that extends it.
 *
 * <p>It trusts tests no further than needed to go on: who started it has to limit time, memory and everything else. No
 * field has the pipes, and once opened they have no name.
 */
public final class Runner {
    private static final int LONGEST_PART = 2000;
    private static final int GRACE_MILLISECONDS = 500;

    /** Threads that the JDK starts for later, and that are of no class of its own. */
    private static final Set<String> HOUSEKEEPERS =
        Set.of("CompletableFutureDelayScheduler", "ForkJoinPool.commonPool-delayScheduler");

    /** So many files a test has to leave closed of those that a process may open. */
    private static final int FREE_FILES = 32;

    /**
     * What a test has to leave as it finds it. Nothing here asks an object that may be of a test's class: its equals,
     * hashCode or clone would be the test's code.
     */
    private static final class State {
        final Set<Thread> threads = threads();
        final Properties properties = System.getProperties();
        final Map<?, ?> values = new HashMap<>(properties);
        final File folder = new File(System.getProperty("java.io.tmpdir"));
        final TimeZone zone = TimeZone.getDefault();

        String left() throws InterruptedException {
            long grace = System.nanoTime() + GRACE_MILLISECONDS * 1_000_000L;
            Set<Thread> more = moreThreads();
            while (more.stream().anyMatch(State::isTests) && System.nanoTime() < grace) {
                Thread.sleep(5);
                more = moreThreads();
            }
            if (more.stream().anyMatch(State::isTests)) {
                return "threads";
            }
            setDefaults();
            String[] files = folder.list();
            boolean same = more.isEmpty() && files != null && files.length == 0 && sameProperties() && canOpenFiles()
                && !ForkJoinPool.commonPool().hasQueuedSubmissions();
            return same ? "clean" : "changed";
        }

        /** Set what a test may set for the whole process. What tests print goes nowhere, what they read has ended. */
        void setDefaults() {
            System.setIn(new ByteArrayInputStream(new byte[0]));
            System.setOut(new PrintStream(OutputStream.nullOutputStream()));
            System.setErr(new PrintStream(OutputStream.nullOutputStream()));
            Locale.setDefault(Locale.ROOT);
            TimeZone.setDefault(zone);
            Thread.setDefaultUncaughtExceptionHandler(null);
        }

        private boolean sameProperties() {
            return System.getProperties() == properties && properties.size() == values.size()
                && values.entrySet().stream().allMatch(entry -> properties.get(entry.getKey()) == entry.getValue());
        }

        private static boolean canOpenFiles() {
            List<FileInputStream> open = new ArrayList<>();
            try {
                while (open.size() < FREE_FILES) {
                    open.add(new FileInputStream("/dev/null"));
                }
                for (FileInputStream one : open) {
                    one.close();
                }
                return true;
            } catch (IOException none) {
                return false;
            }
        }

        private Set<Thread> moreThreads() {
            Set<Thread> more = threads();
            more.removeAll(threads);
            return more;
        }

        /** Return whether a thread is a test's, and not one that the JDK keeps for later. */
        private static boolean isTests(Thread thread) {
            if (thread.getClass().getClassLoader() != null) {
                return true;
            }
            boolean idle = thread instanceof ForkJoinWorkerThread
                && ((ForkJoinWorkerThread) thread).getPool() == ForkJoinPool.commonPool()
                && ForkJoinPool.commonPool().isQuiescent();
            return !idle && !thread.getClass().getName().startsWith("jdk.internal.")
                && !HOUSEKEEPERS.contains(thread.getName());
        }

        private static Set<Thread> threads() {
            ThreadGroup root = Thread.currentThread().getThreadGroup();
            while (root.getParent() != null) {
                root = root.getParent();
            }
            Thread[] found = new Thread[root.activeCount() + 1024];
            Set<Thread> threads = Collections.newSetFromMap(new IdentityHashMap<>());
            threads.addAll(Arrays.asList(found).subList(0, root.enumerate(found)));
            return threads;
        }
    }

    private Runner() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        PrintStream replies = new PrintStream(new FileOutputStream(arguments[1]), false, StandardCharsets.UTF_8);
        BufferedReader requests = new BufferedReader(
            new InputStreamReader(new FileInputStream(arguments[0]), StandardCharsets.UTF_8));
        List<URL> classPath = new ArrayList<>();
        for (String entry : Arrays.asList(arguments).subList(2, arguments.length)) {
            classPath.add(new File(entry).toURI().toURL());
        }
        State state = new State();
        state.setDefaults();
        replies.print("ready\n");
        replies.flush();
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] request = line.split("\t", -1);
            String ended = run(request[1], request[2], urls(request[3], classPath), state);
            replies.print(request[0] + "\t" + ended + "\n");
            replies.flush();
        }
    }

    private static String run(String className, String method, URL[] classes, State state)
            throws IOException, InterruptedException {
        String[] ended = {"failed", "the test's thread ended"};
        long start = System.nanoTime();
        try (URLClassLoader loader = new URLClassLoader(classes, Runner.class.getClassLoader())) {
            Runnable test = () -> judge(loader, className, method, ended);
            Thread thread = new Thread(new ThreadGroup("test"), test, "test");
            thread.setContextClassLoader(loader);
            thread.start();
            thread.join();
            long milliseconds = (System.nanoTime() - start) / 1_000_000;
            return String.join("\t", ended[0], state.left(), Long.toString(milliseconds), part(ended[1]));
        }
    }

    /** Put into {@code ended} how a test ends, and what is wrong or null. */
    private static void judge(URLClassLoader loader, String className, String method, String[] ended) {
        String verdict = "not run";
        String message;
        try {
            Class<?> test = Class.forName(className, false, loader);
            Framework framework = frameworkOf(test, method);
            message = null;
            for (Class<?> concrete : ConcreteClasses.of(test, loader)) {
                message = message == null ? framework.failureOf(concrete, method) : message;
            }
            verdict = message == null ? "passed" : "failed";
        } catch (Framework.NotRunException complaint) {
            message = complaint.getMessage();
        } catch (VirtualMachineError thrown) {
            verdict = "failed";
            message = thrown.toString();
        } catch (Throwable thrown) {
            message = thrown.toString();
        }
        ended[1] = message;
        ended[0] = verdict;
    }

    /** Return the framework that the annotations of a test say, or JUnit 4. */
    private static Framework frameworkOf(Class<?> test, String method) throws Exception {
        Set<String> annotations = new HashSet<>();
        for (Class<?> owner : ConcreteClasses.withSuperTypes(test)) {
            collect(owner.getDeclaredAnnotations(), annotations);
            for (Method one : owner.getDeclaredMethods()) {
                if (one.getName().equals(method)) {
                    collect(one.getDeclaredAnnotations(), annotations);
                }
            }
        }
        if (annotations.contains("org.junit.platform.commons.annotation.Testable")) {
            return framework("JUnitPlatformTests", "JUnit 5's platform launcher and engine");
        }
        return annotations.contains("org.testng.annotations.Test")
            ? framework("TestNGTests", "TestNG")
            : framework("JUnit4Tests", "JUnit 4");
    }

    private static Framework framework(String name, String what) throws Exception {
        try {
            return (Framework) Class.forName("assertkd." + name).getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException absent) {
            throw new Framework.NotRunException("it needs " + what + ", which was not found");
        }
    }

    /** Add the names of annotations, and of what they are annotated with. */
    private static void collect(Annotation[] annotations, Set<String> names) {
        for (Annotation annotation : annotations) {
            if (names.add(annotation.annotationType().getName())) {
                collect(annotation.annotationType().getDeclaredAnnotations(), names);
            }
        }
    }

    private static URL[] urls(String folders, List<URL> classPath) throws MalformedURLException {
        List<URL> urls = new ArrayList<>();
        for (String folder : folders.split(File.pathSeparator)) {
            urls.add(new File(folder).toURI().toURL());
        }
        urls.addAll(classPath);
        return urls.toArray(new URL[0]);
    }

    /** Return the beginning of a text without what ends a part of a reply. Who reads it makes it short and printable. */
    private static String part(String text) {
        return text == null ? "" : text.substring(0, Math.min(text.length(), LONGEST_PART)).replaceAll("\\s", " ");
    }
}
