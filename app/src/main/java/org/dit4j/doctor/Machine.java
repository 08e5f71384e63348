package org.dit4j.doctor;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * What this process may use of the machine. On Linux as the kernel says it, limits of containers (cgroups, both versions) included;
 * elsewhere as Java does.
 *
 * @param system operating system and its release, for example "Linux 6.1"
 * @param architecture as Java names it, for example "amd64"
 * @param cores that the machine has
 * @param affinity the cores that this process may run on, for example "0-3,8"; empty if unknown
 * @param cpuLimit cores' worth of time that its container gets
 * @param cpuFeatures of {@link #FEATURES}, those the processor has
 * @param totalMemory bytes
 * @param availableMemory bytes that can be had without swapping, the container's limit considered
 * @param memoryLimit bytes, of the container
 */
public record Machine(
        String system,
        String architecture,
        int cores,
        String affinity,
        OptionalDouble cpuLimit,
        Set<String> cpuFeatures,
        long totalMemory,
        long availableMemory,
        OptionalLong memoryLimit) {
    /** What makes a difference to LibTorch, as Linux names it. */
    static final List<String> FEATURES = List.of("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16");

    /** This machine. */
    public static Machine read() {
        return read(Path.of("/"));
    }

    /** As the files in {@code root} describe it; what they do not say is as Java sees it. */
    static Machine read(Path root) {
        String memory = text(root.resolve("proc/meminfo")), cpus = text(root.resolve("proc/cpuinfo"));
        String status = text(root.resolve("proc/self/status"));
        List<Path> memoryGroups = groups(root, "memory"), cpuGroups = groups(root, "cpu");
        long total = memory.isEmpty() ? Java.total() : kibibytes(memory, "MemTotal");
        long available = memory.isEmpty() ? Java.free() : kibibytes(memory, "MemAvailable");
        OptionalLong limit = memoryGroups.stream()
                .mapToLong(Machine::memoryLimit)
                .filter(bytes -> bytes < total) // version 1 says "none" by a huge number
                .min();
        long left = memoryGroups.stream()
                .filter(group -> memoryLimit(group) < total)
                .mapToLong(group -> memoryLimit(group) - memoryUsed(group))
                .min()
                .orElse(Long.MAX_VALUE);
        long cores = cpus.lines().filter(line -> line.startsWith("processor")).count();
        return new Machine(
                System.getProperty("os.name") + " " + System.getProperty("os.version"),
                System.getProperty("os.arch"),
                cores > 0 ? (int) cores : Runtime.getRuntime().availableProcessors(),
                field(status, "Cpus_allowed_list"),
                cpuGroups.stream()
                        .map(Machine::cpuLimit)
                        .filter(OptionalDouble::isPresent)
                        .mapToDouble(OptionalDouble::getAsDouble)
                        .min(),
                features(cpus),
                total,
                Math.max(0, Math.min(available, left)),
                limit);
    }

    /** The memory as Java sees it. Apart, so that a runtime image without the module jdk.management does where Linux says it. */
    private static final class Java {
        private static OperatingSystemMXBean bean() {
            return (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        }

        static long total() {
            return bean().getTotalMemorySize();
        }

        static long free() {
            return bean().getFreeMemorySize();
        }
    }

    private static Set<String> features(String cpus) {
        Set<String> features = new TreeSet<>(List.of(field(cpus, "flags").split(" ")));
        features.retainAll(FEATURES);
        return features;
    }

    /** The folders of this process's control groups that may limit something, from its own up to the root. */
    private static List<Path> groups(Path root, String controller) {
        List<Path> groups = new ArrayList<>();
        Path mounted = root.resolve("sys/fs/cgroup");
        for (String line : text(root.resolve("proc/self/cgroup")).lines().toList()) {
            String[] fields = line.split(":", 3); // number:controllers:path; version 2 names no controllers
            boolean unified = fields.length == 3 && fields[1].isEmpty();
            if (fields.length < 3 || !unified && !List.of(fields[1].split(",")).contains(controller)) continue;
            Path top = unified ? mounted : mounted.resolve(controller);
            // in a container the path may be the host's, and only the mounted top is there
            Path group = top.resolve(fields[2].replaceFirst("^/+", "")).normalize();
            for (; group.startsWith(top); group = group.getParent()) groups.add(group);
        }
        return groups;
    }

    private static long memoryLimit(Path group) {
        return first(group, Machine::number, "memory.max", "memory.limit_in_bytes", Long.MAX_VALUE);
    }

    /** Without the cache of files that the kernel would give up first. */
    private static long memoryUsed(Path group) {
        long used = first(group, Machine::number, "memory.current", "memory.usage_in_bytes", 0);
        String statistics = text(group.resolve("memory.stat"));
        for (String line : statistics.lines().toList())
            if (line.startsWith("inactive_file ") || line.startsWith("total_inactive_file "))
                return used - number(line.substring(line.indexOf(' ') + 1));
        return used;
    }

    private static OptionalDouble cpuLimit(Path group) {
        String[] unified = text(group.resolve("cpu.max")).strip().split(" "); // "200000 100000", or "max 100000"
        if (unified.length == 2 && !unified[0].equals("max"))
            return OptionalDouble.of((double) number(unified[0]) / number(unified[1]));
        long quota = number(text(group.resolve("cpu.cfs_quota_us"))),
                period = number(text(group.resolve("cpu.cfs_period_us")));
        return quota > 0 && quota < Long.MAX_VALUE
                ? OptionalDouble.of((double) quota / period)
                : OptionalDouble.empty();
    }

    private static long first(Path group, Function<String, Long> value, String unified, String former, long otherwise) {
        for (String name : List.of(unified, former)) {
            String text = text(group.resolve(name));
            if (!text.isEmpty()) return value.apply(text);
        }
        return otherwise;
    }

    /** A number, and for "max" the largest. */
    private static Long number(String text) {
        String stripped = text.strip();
        return stripped.matches("-?\\d{1,18}") ? Long.parseLong(stripped) : Long.MAX_VALUE;
    }

    private static long kibibytes(String memory, String name) {
        return number(field(memory, name).replace(" kB", "")) * 1024;
    }

    private static String field(String text, String name) {
        return text.lines()
                .filter(line -> line.startsWith(name) && line.contains(":"))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst()
                .orElse("");
    }

    /** Empty if there is no such file: these describe one kernel or another. */
    static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return "";
        }
    }

    /** The innermost folder (or file) of a path that is there already. */
    public static Path existing(Path path) {
        Path existing = path.toAbsolutePath().normalize();
        while (!Files.exists(existing) && existing.getParent() != null) existing = existing.getParent();
        return existing;
    }

    /** Bytes as people read them: "512 MiB", "23.4 GiB". */
    public static String bytes(double bytes) {
        String[] units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        int unit = 0;
        for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
        return String.format(java.util.Locale.ROOT, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    }
}
