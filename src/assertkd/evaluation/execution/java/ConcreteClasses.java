package assertkd;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The classes in which a test of an abstract class or an interface runs. */
final class ConcreteClasses {
    private ConcreteClasses() {}

    /** Return a class, or where it is abstract those of the loader's folders that extend it, by name. */
    static List<Class<?>> of(Class<?> test, URLClassLoader loader) throws IOException, Framework.NotRunException {
        if (!Modifier.isAbstract(test.getModifiers())) {
            return List.of(test);
        }
        Set<String> names = new LinkedHashSet<>();
        for (URL url : loader.getURLs()) {
            Path folder = new File(url.getPath()).toPath();
            if (Files.isDirectory(folder)) {
                try (Stream<Path> files = Files.walk(folder)) {
                    files.map(file -> folder.relativize(file).toString())
                        .filter(file -> file.endsWith(".class"))
                        .sorted()
                        .forEach(file -> names.add(file.replace(File.separatorChar, '.').replaceAll("\\.class$", "")));
                }
            }
        }
        List<Class<?>> found = new ArrayList<>();
        for (String name : names) {
            Class<?> one = load(name, loader);
            if (one != null && test.isAssignableFrom(one) && !Modifier.isAbstract(one.getModifiers())
                    && !one.isAnonymousClass() && !one.isLocalClass()) {
                found.add(one);
            }
        }
        if (found.isEmpty()) {
            throw new Framework.NotRunException(test.getName() + " is abstract, and no class that extends it was found");
        }
        return found;
    }

    /** Return a class and all that it extends and implements. */
    static Set<Class<?>> withSuperTypes(Class<?> type) {
        Set<Class<?>> found = new LinkedHashSet<>();
        if (type != null && found.add(type)) {
            found.addAll(withSuperTypes(type.getSuperclass()));
            for (Class<?> one : type.getInterfaces()) {
                found.addAll(withSuperTypes(one));
            }
        }
        return found;
    }

    private static Class<?> load(String name, ClassLoader loader) {
        try {
            return Class.forName(name, false, loader);
        } catch (ClassNotFoundException | LinkageError broken) {
            return null;
        }
    }
}
