package org.dit4j.torch;

import java.io.File;
import java.io.IOException;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.jar.JarEntry;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;

/**
 * A library in a jar, and where JavaCPP looks for it once it is unpacked.
 *
 * @param jar URL of the entry
 * @param path relative to JavaCPP's cache
 * @param size in bytes
 * @param millis when it was last changed, as the jar says; JavaCPP takes a file with another time for another file
 * @param crc CRC-32 of its content
 */
record NativeLibrary(URL jar, Path path, long size, long millis, long crc) {
    /** All that JavaCPP would unpack for LibTorch; the answer takes about as long as loading a few hundred classes. */
    static List<NativeLibrary> all() throws IOException {
        Set<Class<?>> bindings = new LinkedHashSet<>();
        bindings.add(Loader.class);
        for (String name : List.of("torch", "torch_cuda")) addBinding("org.bytedeco.pytorch.global." + name, bindings);
        Properties platform = Loader.loadProperties();
        Map<Path, NativeLibrary> libraries = new LinkedHashMap<>();
        for (Class<?> binding : bindings) {
            ClassProperties properties = Loader.loadProperties(binding, platform, true);
            List<String> names = new ArrayList<>(properties.get("platform.preload"));
            names.addAll(properties.get("platform.link"));
            names.add(properties.getProperty("platform.library"));
            for (String name : names)
                for (URL url : Loader.findLibrary(binding, properties, name)) {
                    // others lie in a folder of the system, where nothing has to be unpacked
                    if (!url.getProtocol().equals("jar")) continue;
                    NativeLibrary library = of(url);
                    libraries.putIfAbsent(library.path, library);
                }
        }
        return List.copyOf(libraries.values());
    }

    /** The class and those that its annotations inherit from; none of them is initialised, which would load it. */
    private static void addBinding(String name, Set<Class<?>> bindings) {
        try {
            Set<Class<?>> found = new LinkedHashSet<>();
            addBinding(Class.forName(name, false, NativeLibrary.class.getClassLoader()), found);
            bindings.addAll(found);
        } catch (ClassNotFoundException | LinkageError | TypeNotPresentException e) {
            // what is not all on the class path, as CUDA's bindings are not in the build for processors, is not loaded
            // either
        }
    }

    private static void addBinding(Class<?> binding, Set<Class<?>> bindings) {
        if (!bindings.add(binding)) return;
        for (Class<?> c = Loader.getEnclosingClass(binding); c != null; c = c.getSuperclass()) {
            var annotation = c.getAnnotation(org.bytedeco.javacpp.annotation.Properties.class);
            if (annotation == null) continue;
            for (Class<?> inherited : annotation.inherit()) addBinding(inherited, bindings);
            return;
        }
    }

    /** A fragment of the URL is the name that the unpacked file gets. */
    static NativeLibrary of(URL url) throws IOException {
        String fragment = url.getRef();
        URL jar = new URL(url.toString().split("#")[0]);
        JarURLConnection connection = (JarURLConnection) jar.openConnection();
        JarEntry entry = connection.getJarEntry();
        File inJar = new File(entry.getName());
        String name = fragment == null || fragment.isEmpty() ? inJar.getName() : fragment;
        Path folder = Path.of("");
        if (!isSet("org.bytedeco.javacpp.cachedir.nosubdir"))
            folder = Path.of(
                    new File(connection.getJarFile().getName()).getName(),
                    inJar.getParent() == null ? "" : inJar.getParent());
        return new NativeLibrary(jar, folder.resolve(name), entry.getSize(), entry.getTime(), entry.getCrc());
    }

    /** A switch as JavaCPP reads it. */
    static boolean isSet(String property) {
        return List.of("true", "t", "")
                .contains(System.getProperty(property, "false").toLowerCase());
    }
}
