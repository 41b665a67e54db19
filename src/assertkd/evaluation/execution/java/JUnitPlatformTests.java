package assertkd;

import java.util.ArrayList;
import java.util.List;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Tests of JUnit 5 and of other engines of its platform. */
final class JUnitPlatformTests implements Framework {
    /** What happens to the tests of a method. */
    private static final class Listener implements TestExecutionListener {
        final String method;
        final List<Throwable> failures = new ArrayList<>();
        Throwable other;
        String skipped;
        boolean aborted;
        int run;

        Listener(String method) {
            this.method = method;
        }

        @Override
        public void executionSkipped(TestIdentifier identifier, String reason) {
            skipped = reason;
        }

        @Override
        public void executionFinished(TestIdentifier identifier, TestExecutionResult result) {
            run += identifier.isTest() ? 1 : 0;
            aborted |= result.getStatus() == TestExecutionResult.Status.ABORTED;
            if (result.getStatus() == TestExecutionResult.Status.FAILED) {
                Throwable thrown = result.getThrowable().orElseGet(() -> new AssertionError("failed"));
                boolean own = identifier.isTest() || identifier.getSource().filter(this::isMethod).isPresent();
                if (own) {
                    failures.add(thrown);
                } else {
                    other = thrown;
                }
            }
        }

        private boolean isMethod(TestSource source) {
            return source instanceof MethodSource && ((MethodSource) source).getMethodName().equals(method);
        }
    }

    @Override
    public String failureOf(Class<?> test, String method) throws NotRunException {
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
            .selectors(DiscoverySelectors.selectClass(test))
            // Tests of JUnit 4 are run by JUnit 4.
            .filters(EngineFilter.excludeEngines("junit-vintage"))
            .filters((PostDiscoveryFilter) descriptor -> FilterResult.includedIf(isOf(descriptor, test, method)))
            .configurationParameter("junit.jupiter.execution.parallel.enabled", "false")
            .build();
        Listener listener = new Listener(method);
        LauncherFactory.create().execute(request, listener);
        if (!listener.failures.isEmpty()) {
            return Framework.described(listener.failures.get(0));
        }
        if (listener.other != null) {
            throw new NotRunException("not the test fails, but its class: " + listener.other);
        }
        if (listener.aborted) {
            return "an assumption of the test does not hold";
        }
        if (listener.run == 0) {
            throw new NotRunException(listener.skipped != null
                ? "the test is disabled: " + listener.skipped
                : "JUnit 5 finds no test " + method + " in " + test.getName());
        }
        return null;
    }

    private static boolean isOf(TestDescriptor descriptor, Class<?> test, String method) {
        TestSource source = descriptor.getSource().orElse(null);
        if (!(source instanceof MethodSource) || !((MethodSource) source).getMethodName().equals(method)) {
            return false;
        }
        for (Class<?> owner = test; owner != null; owner = owner.getSuperclass()) {
            if (owner.getName().equals(((MethodSource) source).getClassName())) {
                return true;
            }
        }
        return false;
    }
}
