package org.dit4j;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The table of docs/architecture.md: which package may use which. */
class ArchitectureTest {
    private static final JavaClasses CORE = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("org.dit4j");

    private static final Map<String, Set<String>> MAY_USE = Map.ofEntries(
            Map.entry("torch", Set.of()),
            Map.entry("kernels", Set.of("torch")),
            Map.entry("cuda", Set.of("torch", "kernels")),
            Map.entry("io", Set.of("torch")),
            Map.entry("model", Set.of("torch", "kernels")),
            Map.entry("vae", Set.of("torch", "kernels")),
            Map.entry("diffusion", Set.of("torch", "kernels")),
            Map.entry("sample", Set.of("torch", "kernels", "diffusion")),
            Map.entry("data", Set.of("torch", "io")),
            Map.entry("checkpoint", Set.of("torch", "io", "model", "vae", "diffusion")),
            Map.entry("jobs", Set.of("torch", "io", "data", "vae", "eval")),
            Map.entry("eval", Set.of("torch", "io")),
            Map.entry("dist", Set.of("torch")),
            Map.entry("train", Set.of("torch", "kernels", "io", "model", "diffusion", "data", "checkpoint", "dist")),
            Map.entry(
                    "run",
                    Set.of(
                            "torch",
                            "kernels",
                            "io",
                            "model",
                            "vae",
                            "diffusion",
                            "data",
                            "checkpoint",
                            "dist",
                            "eval",
                            "train")),
            // the facade, org.dit4j itself
            Map.entry("", Set.of("torch", "kernels", "io", "model", "vae", "diffusion", "sample", "checkpoint")));

    /** The files of a package that need each other, and why. Constants that the compiler copies are not seen here. */
    private static final Map<Set<String>, String> CYCLES = Map.of(
            Set.of("model.DiT", "model.DiTConfig"),
            "a configuration makes its network, as new would touch JavaCPP before its limits are set",
            Set.of("vae.AutoencoderKl", "vae.AutoencoderKlConfig", "vae.KlDecoder", "vae.KlEncoder"),
            "a configuration makes its network, as new would touch JavaCPP before its limits are set",
            Set.of("vae.TinyAutoencoder", "vae.TinyAutoencoderConfig"),
            "a configuration makes its network, as new would touch JavaCPP before its limits are set",
            Set.of("vae.LatentCodec", "vae.Sliced", "vae.Tiled", "vae.WrappedCodec"),
            "every codec can be sliced and tiled, which gives a codec around it",
            Set.of("data.Dataset", "data.FingerprintInput"),
            "every data set has a fingerprint, also one that is written elsewhere, and it begins with the shape of the data");

    @Test
    void everyPackageUsesOnlyWhatTheTableAllows() {
        Set<String> wrong = new TreeSet<>();
        for (JavaClass from : CORE) {
            Set<String> allowed = MAY_USE.getOrDefault(packageOf(from), Set.of());
            from.getDirectDependenciesFromSelf().forEach(dependency -> {
                JavaClass to = dependency.getTargetClass();
                boolean ours = to.getPackageName().startsWith("org.dit4j");
                if (ours && !packageOf(to).equals(packageOf(from)) && !allowed.contains(packageOf(to)))
                    wrong.add(from.getName() + " → " + to.getName());
            });
        }
        assertEquals(Set.of(), wrong);
    }

    @Test
    void everyPackageIsInTheTable() {
        Set<String> packages = CORE.stream().map(ArchitectureTest::packageOf).collect(Collectors.toSet());
        assertTrue(MAY_USE.keySet().containsAll(packages), packages + " are not all in the table");
    }

    @Test
    void packagesFormNoCycles() {
        slices().matching("org.dit4j.(*)..").should().beFreeOfCycles().check(CORE);
    }

    /**
     * Within a package too nothing goes round in a circle: of two classes one explains itself without the other. Nested classes count as the
     * file that they are in.
     */
    @Test
    void filesOfAPackageFormNoCyclesButTheseWithAReason() {
        Map<String, Set<String>> uses = new TreeMap<>();
        for (JavaClass from : CORE)
            from.getDirectDependenciesFromSelf().forEach(dependency -> {
                JavaClass to = dependency.getTargetClass();
                if (to.getPackageName().equals(from.getPackageName())
                        && !fileOf(to).equals(fileOf(from)))
                    uses.computeIfAbsent(fileOf(from), key -> new TreeSet<>()).add(fileOf(to));
            });
        Map<String, Set<String>> reached = new TreeMap<>();
        for (String file : uses.keySet()) reached.put(file, reachedFrom(file, uses));
        Set<Set<String>> cycles = new HashSet<>();
        for (String file : uses.keySet())
            if (reached.get(file).contains(file))
                cycles.add(reached.get(file).stream()
                        .filter(other -> reached.getOrDefault(other, Set.of()).contains(file))
                        .collect(Collectors.toSet()));
        assertEquals(CYCLES.keySet(), cycles);
    }

    private static Set<String> reachedFrom(String file, Map<String, Set<String>> uses) {
        Set<String> reached = new TreeSet<>();
        Deque<String> next = new ArrayDeque<>(uses.get(file));
        while (!next.isEmpty()) {
            String at = next.pop();
            if (reached.add(at)) next.addAll(uses.getOrDefault(at, Set.of()));
        }
        return reached;
    }

    /** "model.DiTBlock" of org.dit4j.model.DiTBlock$Kind. */
    private static String fileOf(JavaClass type) {
        return type.getName().replaceFirst("^org\\.dit4j\\.", "").replaceFirst("\\$.*", "");
    }

    @Test
    void namesSayWhatAClassIs() {
        List<String> vague = List.of("Impl", "Abstract", "Manager", "Helper", "Util");
        List<String> named = CORE.stream()
                .map(JavaClass::getSimpleName)
                .filter(name -> vague.stream().anyMatch(word -> name.contains(word)))
                .toList();
        assertEquals(List.of(), named);
    }

    /** "model" of org.dit4j.model.DiT, "" of what is in org.dit4j itself. */
    private static String packageOf(JavaClass type) {
        return type.getPackageName().replaceFirst("^org\\.dit4j\\.?", "").replaceFirst("\\..*", "");
    }
}
