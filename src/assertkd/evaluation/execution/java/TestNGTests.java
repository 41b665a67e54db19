package assertkd;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.testng.ITestNGListener;
import org.testng.ITestResult;
import org.testng.TestListenerAdapter;
import org.testng.TestNG;
import org.testng.annotations.Test;
import org.testng.xml.XmlClass;
import org.testng.xml.XmlInclude;
import org.testng.xml.XmlSuite;
import org.testng.xml.XmlTest;

/** Tests of TestNG, with the methods that they depend on. */
final class TestNGTests implements Framework {
    @Override
    public String failureOf(Class<?> test, String method) throws NotRunException {
        XmlSuite suite = new XmlSuite();
        suite.setName("suite");
        XmlTest xmlTest = new XmlTest(suite);
        xmlTest.setName("test");
        XmlClass xmlClass = new XmlClass(test);
        List<XmlInclude> included = new ArrayList<>();
        withDependencies(test, method, new LinkedHashSet<>()).forEach(name -> included.add(new XmlInclude(name)));
        xmlClass.setIncludedMethods(included);
        xmlTest.setXmlClasses(new ArrayList<>(List.of(xmlClass)));
        TestNG testng = new TestNG(false);
        testng.setVerbose(0);
        testng.setXmlSuites(new ArrayList<>(List.of(suite)));
        TestListenerAdapter listener = new TestListenerAdapter();
        testng.addListener((ITestNGListener) listener);
        testng.run();
        for (ITestResult result : listener.getFailedTests()) {
            if (result.getMethod().getMethodName().equals(method)) {
                return Framework.described(result.getThrowable());
            }
        }
        List<ITestResult> others = new ArrayList<>(listener.getConfigurationFailures());
        others.addAll(listener.getFailedTests());
        if (!others.isEmpty()) {
            throw new NotRunException("not the test fails, but its class: " + others.get(0).getThrowable());
        }
        for (ITestResult result : listener.getSkippedTests()) {
            if (result.getMethod().getMethodName().equals(method)) {
                return "the test is skipped: " + result.getThrowable();
            }
        }
        if (listener.getPassedTests().stream().noneMatch(it -> it.getMethod().getMethodName().equals(method))) {
            throw new NotRunException("TestNG ran no test " + method + " of " + test.getName());
        }
        return null;
    }

    private static Set<String> withDependencies(Class<?> test, String method, Set<String> found) {
        if (found.add(method)) {
            for (Class<?> owner = test; owner != null; owner = owner.getSuperclass()) {
                for (Method one : owner.getDeclaredMethods()) {
                    Test annotation = one.getName().equals(method) ? one.getAnnotation(Test.class) : null;
                    if (annotation != null) {
                        Arrays.asList(annotation.dependsOnMethods()).forEach(name -> withDependencies(test, name, found));
                    }
                }
            }
        }
        return found;
    }
}
