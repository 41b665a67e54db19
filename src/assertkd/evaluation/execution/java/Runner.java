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
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.TimeZone;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.Result;

/**
 * Runs single JUnit tests, one after the other, each with a class loader and a thread of its own.
 *
 * <p>A request is a line on standard input: a word that the reply repeats, the test's class, its method, and the
 * folders of its classes with the path separator between them; tabs between the four. The program's arguments are
 * class path entries that every test sees behind its own. A reply is a line on standard
 * output, the first of all {@code ready}: the word, {@code passed} or {@code failed}, {@code clean} or {@code threads} (the test left threads behind,
 * and this process is of no use any more), milliseconds, and what failed; tabs between the five.
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
        String[] failure = {"the test's thread ended"};
        long start = System.nanoTime();
        long end = start;
        try (URLClassLoader loader = new URLClassLoader(classes, Runner.class.getClassLoader())) {
            Thread thread = new Thread(group, () -> failure[0] = failureOf(loader, className, method), "test");
            thread.setContextClassLoader(loader);
            thread.start();
            thread.join();
            end = System.nanoTime();
            long grace = System.nanoTime() + GRACE_MILLISECONDS * 1_000_000L;
            while (hasThreads(group) && System.nanoTime() < grace) {
                Thread.sleep(5);
            }
        } catch (InterruptedException interrupted) {
            failure[0] = "the runner was interrupted";
        }
        long milliseconds = (end - start) / 1_000_000;
        String verdict = failure[0] == null ? "passed" : "failed";
        String left = hasThreads(group) ? "threads" : "clean";
        return String.join("\t", verdict, left, Long.toString(milliseconds), oneLine(failure[0]));
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

    /** Return what is wrong with a test, or null where it passes. */
    private static String failureOf(ClassLoader loader, String className, String method) {
        try {
            Class<?> test = Class.forName(className, false, loader);
            int[] assumptions = {0};
            JUnitCore core = new JUnitCore();
            core.addListener(new org.junit.runner.notification.RunListener() {
                @Override
                public void testAssumptionFailure(org.junit.runner.notification.Failure failure) {
                    assumptions[0]++;
                }
            });
            Result result = core.run(Request.method(test, method));
            if (!result.wasSuccessful()) {
                Throwable thrown = result.getFailures().get(0).getException();
                return thrown.getClass().getName() + ": " + thrown.getMessage();
            }
            if (assumptions[0] > 0) {
                return "an assumption of the test does not hold";
            }
            return result.getRunCount() == 1 ? null : "JUnit ran " + result.getRunCount() + " tests";
        } catch (Throwable thrown) {
            return thrown.toString();
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
