package assertkd;

import java.lang.reflect.Constructor;
import java.lang.reflect.Modifier;
import java.util.List;
import junit.framework.TestCase;
import org.junit.internal.runners.ErrorReportingRunner;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.Result;
import org.junit.runner.RunWith;
import org.junit.runner.Runner;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;
import org.junit.runners.BlockJUnit4ClassRunner;
import org.junit.runners.model.InitializationError;

/** Tests of JUnit 4 and 3, with those of the class's own runner, as {@code Parameterized}. */
final class JUnit4Tests implements Framework {
    @Override
    public String failureOf(Class<?> test, String method) throws NotRunException {
        Runner whole = runnerOf(test);
        if (whole instanceof ErrorReportingRunner) {
            throw new NotRunException(new JUnitCore().run(whole).getFailures().get(0).getException().toString());
        }
        Runner runner = Request.runner(whole).filterWith(only(method)).getRunner();
        if (runner instanceof ErrorReportingRunner) {
            throw new NotRunException("JUnit 4 finds no test " + method + " in " + test.getName());
        }
        String[] unmet = new String[2];
        JUnitCore core = new JUnitCore();
        core.addListener(new RunListener() {
            @Override
            public void testAssumptionFailure(Failure failure) {
                unmet[0] = "an assumption of the test does not hold";
            }

            @Override
            public void testIgnored(Description description) {
                unmet[1] = "the test is ignored";
            }
        });
        Result result = core.run(runner);
        Failure other = null;
        for (Failure failure : result.getFailures()) {
            if (isOf(failure.getDescription().getMethodName(), method)) {
                return Framework.described(failure.getException());
            }
            other = failure;
        }
        if (other != null) {
            throw new NotRunException("not the test fails, but its class: " + other.getException());
        }
        if (unmet[0] == null && result.getRunCount() == 0) {
            throw new NotRunException(unmet[1] == null ? "JUnit 4 ran no test" : unmet[1]);
        }
        return unmet[0];
    }

    /** Return the class's runner; a class that is not public, which JUnit 4 refuses, has one too. */
    private static Runner runnerOf(Class<?> test) throws NotRunException {
        if (Modifier.isPublic(test.getModifiers()) || TestCase.class.isAssignableFrom(test)
                || test.isAnnotationPresent(RunWith.class)) {
            return Request.aClass(test).getRunner();
        }
        try {
            return new BlockJUnit4ClassRunner(test) {
                @Override
                protected void collectInitializationErrors(List<Throwable> errors) {
                    validatePublicVoidNoArgMethods(org.junit.Test.class, false, errors);
                }

                @Override
                protected Object createTest() throws Exception {
                    Constructor<?> constructor = getTestClass().getJavaClass().getDeclaredConstructor();
                    constructor.setAccessible(true);
                    return constructor.newInstance();
                }
            };
        } catch (InitializationError refused) {
            throw new NotRunException(String.valueOf(refused.getCauses().get(0)));
        }
    }

    private static Filter only(String method) {
        return new Filter() {
            @Override
            public boolean shouldRun(Description description) {
                return description.isTest()
                    ? isOf(description.getMethodName(), method)
                    : description.getChildren().stream().anyMatch(this::shouldRun);
            }

            @Override
            public String describe() {
                return method;
            }
        };
    }

    private static boolean isOf(String test, String method) {
        return Framework.isOf(test, method);
    }
}
