import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileDescriptor;
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
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;

/**
 * Runs single tests by their framework, one after the other, each with a class loader and a thread of its own.
 *
 * <p>A request is a line on standard input: a word that the reply repeats, the test's class, its method, and the
 * folders of its classes with the path separator between them; tabs between the four. The program's arguments are
 * class path entries that every test sees behind its own. A reply is a line on standard
 * output, the first of all {@code ready}: the word, {@code passed}, {@code failed} or {@code not run}, {@code clean} or
 * {@code threads} (the test left threads behind, and this process is of no use any more), milliseconds, and what is
 * wrong; tabs between the five.
 *
 * <p>A test of an abstract class or an interface is run in every class of the same folders, and of the class path's,
 * that extends it.
 *
 * <p>It trusts tests no further than needed to go on: who started it has to limit time, memory and everything else.
 */
public final class Runner {
    private static final int LONGEST_MESSAGE = 300;
    private static final int GRACE_MILLISECONDS = 500;

    private Runner() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader requests = new BufferedReader(
            new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8));
        PrintStream replies = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        // What tests print goes nowhere, and what they read has ended.
        System.setIn(new ByteArrayInputStream(new byte[0]));
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        Properties properties = (Properties) System.getProperties().clone();
        PrintStream out = System.out;
        PrintStream err = System.err;
        List<URL> classPath = new ArrayList<>();
        for (String entry : arguments) {
            classPath.add(new File(entry).toURI().toURL());
        }
        replies.print("ready\n");
        replies.flush();
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] request = line.split("\t", -1);
            replies.print(request[0] + "\t" + run(request[1], request[2], urls(request[3], classPath)) + "\n");
            replies.flush();
            System.setProperties((Properties) properties.clone());
            System.setOut(out);
            System.setErr(err);
            Locale.setDefault(Locale.ROOT);
            TimeZone.setDefault(null);
        }
    }

    private static String run(String className, String method, URL[] classes) throws IOException {
        ThreadGroup group = new ThreadGroup("test");
        String[] ended = {"failed", "the test's thread ended"};
        long start = System.nanoTime();
        long end = start;
        try (URLClassLoader loader = new URLClassLoader(classes, Runner.class.getClassLoader())) {
            Thread thread = new Thread(group, () -> judge(loader, className, method, ended), "test");
            thread.setContextClassLoader(loader);
            thread.start();
            thread.join();
            end = System.nanoTime();
            long grace = System.nanoTime() + GRACE_MILLISECONDS * 1_000_000L;
            while (hasThreads(group) && System.nanoTime() < grace) {
                Thread.sleep(5);
            }
        } catch (InterruptedException interrupted) {
            ended[1] = "the runner was interrupted";
        }
        long milliseconds = (end - start) / 1_000_000;
        String left = hasThreads(group) ? "threads" : "clean";
        return String.join("\t", ended[0], left, Long.toString(milliseconds), oneLine(ended[1]));
    }

    /** Return whether threads of a group are alive; those of the common pool, which end with the JVM, do not count. */
    private static boolean hasThreads(ThreadGroup group) {
        Thread[] threads = new Thread[group.activeCount() + 16];
        for (int index = group.enumerate(threads) - 1; index >= 0; index--) {
            boolean pooled = threads[index] instanceof ForkJoinWorkerThread
                && ((ForkJoinWorkerThread) threads[index]).getPool() == ForkJoinPool.commonPool();
            if (!pooled) {
                return true;
            }
        }
        return false;
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
            return (Framework) Class.forName(name).getDeclaredConstructor().newInstance();
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

    private static String oneLine(String text) {
        if (text == null) {
            return "";
        }
        String line = text.replaceAll("\\s+", " ");
        return line.length() > LONGEST_MESSAGE ? line.substring(0, LONGEST_MESSAGE) : line;
    }
}
