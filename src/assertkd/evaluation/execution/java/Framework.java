package assertkd;

/** A test framework, which runs the tests of one method of a class. */
interface Framework {
    /**
     * Return what is wrong with the tests of a method, or null where at least one was run and all pass.
     *
     * @throws NotRunException they were not run, or not because of their own code
     */
    String failureOf(Class<?> test, String method) throws NotRunException;

    /** Return what a failure says, if the test's code failed. */
    static String described(Throwable thrown) throws NotRunException {
        String name = thrown.getClass().getName();
        boolean frameworks = name.startsWith("org.junit.platform.") || name.startsWith("org.junit.jupiter.")
            || name.startsWith("org.junit.runners.model.") || name.equals("org.testng.TestNGException");
        String message = String.valueOf(thrown.getMessage());
        boolean missing = thrown instanceof NoClassDefFoundError && !message.startsWith("Could not initialize class")
            || thrown instanceof UnsupportedClassVersionError || thrown instanceof NoSuchMethodError
            || thrown instanceof NoSuchFieldError;
        if (frameworks || missing) {
            throw new NotRunException(thrown.toString());
        }
        return name + ": " + message;
    }

    /** Whether the name of a test is a method's, with what a framework adds for each set of parameters. */
    static boolean isOf(String test, String method) {
        return test != null && test.startsWith(method)
            && (test.length() == method.length() || !Character.isJavaIdentifierPart(test.charAt(method.length())));
    }

    /** A test was not run, or failed for another reason than its own code. */
    final class NotRunException extends Exception {
        private static final long serialVersionUID = 1L;

        NotRunException(String message) {
            super(message);
        }
    }
}
