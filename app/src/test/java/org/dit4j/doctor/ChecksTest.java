package org.dit4j.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Stream;
import org.dit4j.doctor.Finding.Area;
import org.dit4j.doctor.Finding.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each check on facts that this machine does not have. */
class ChecksTest {
    private static final long GIB = 1L << 30;

    @TempDir
    private Path root;

    private static Machine machine(long available, OptionalDouble cpuLimit) {
        return new Machine(
                "Linux 6.1",
                "amd64",
                8,
                "0-7",
                cpuLimit,
                Set.of("avx2"),
                16 * GIB,
                available,
                OptionalLong.of(4 * GIB));
    }

    private static final Machine PLAIN = machine(4 * GIB, OptionalDouble.empty());

    private static Natives natives(long cuda, int devices, String problem) {
        return new Natives(
                "linux-x86_64",
                "1.5.13",
                "2.10.0-1.5.13",
                "x.so",
                1,
                "oneDNN on 8 threads, AVX2",
                cuda,
                devices,
                problem);
    }

    private static Gpus gpus(String driver, int cudaMajor, double capability) {
        return new Gpus(driver, cudaMajor, 0, List.of(new Gpus.Card("H100", 80 * GIB, 79 * GIB, capability)), 1);
    }

    private static void assertFinding(Status status, Area area, String text, String cure, Finding finding) {
        assertEquals(status, finding.status(), finding.toLines());
        assertEquals(area, finding.area(), finding.toLines());
        assertTrue(finding.text().contains(text), finding.toLines());
        assertTrue(finding.cure().contains(cure), finding.toLines());
        assertEquals(finding.cure().isEmpty() ? 1 : 2, finding.toLines().lines().count());
    }

    @Test
    void aProblemHasACureAndNothingElseHas() {
        assertThrows(IllegalArgumentException.class, () -> Finding.warn("x", Area.DISK, "bad", ""));
    }

    @Test
    void onlyPlatformsWithALibTorchPass() {
        assertFinding(Status.OK, Area.MACHINE, "Linux 6.1, amd64", "", Checks.system(PLAIN, natives(0, 0, "")));
        Natives arm = new Natives("linux-arm64", "1.5.13", "", "", 0, "", 0, 0, "no jnitorch in java.library.path");
        assertFinding(
                Status.FAIL, Area.MACHINE, "no LibTorch for linux-arm64", "use one of", Checks.system(PLAIN, arm));
        Natives mac = new Natives("macosx-arm64", "1.5.13", "", "", 0, "", 0, 0, "");
        assertFinding(Status.WARN, Area.MACHINE, "never run on macosx-arm64", "report", Checks.system(PLAIN, mac));
    }

    @Test
    void anOldJavaAndASmallHeapAreNamed() {
        assertFinding(Status.OK, Area.MACHINE, "heap up to 4.0 GiB", "", Checks.java(17, "17.0.1", 4 * GIB));
        assertFinding(Status.FAIL, Area.MACHINE, "11.0.2", "install JDK 17", Checks.java(11, "11.0.2", 4 * GIB));
        assertFinding(Status.WARN, Area.MEMORY, "64 MiB", "-Xmx", Checks.java(17, "17", 64 << 20));
    }

    @Test
    void nativesThatDoNotLoadSayWhatIsMissing() {
        assertFinding(
                Status.OK, Area.MACHINE, "LibTorch 2.10.0-1.5.13, JavaCPP", "", Checks.natives(natives(0, 0, "")));
        assertFinding(
                Status.FAIL,
                Area.MACHINE,
                "no jnitorch",
                "-Ddit.platform=linux-x86_64",
                Checks.natives(natives(0, 0, "no jnitorch in java.library.path")));
        assertFinding(
                Status.FAIL,
                Area.MACHINE,
                "libcudart.so.13",
                "LD_LIBRARY_PATH",
                Checks.natives(natives(0, 0, "libcudart.so.13: cannot open shared object file")));
        assertFinding(
                Status.FAIL,
                Area.MACHINE,
                "failed to map",
                "noexec",
                Checks.natives(natives(0, 0, "libc10.so: failed to map segment from shared object")));
        assertFinding(
                Status.WARN,
                Area.MACHINE,
                "damaged where they were unpacked, and replaced: libc10.so",
                "none is needed now",
                Checks.repaired(List.of(Path.of("a.jar", "libc10.so"))));
        Natives mixed = new Natives("linux-x86_64", "1.5.12", "2.10.0-1.5.13", "x", 1, "", 0, 0, "");
        assertFinding(Status.WARN, Area.MACHINE, "JavaCPP 1.5.12", "the same version", Checks.natives(mixed));
    }

    @Test
    void settingsThatSlowTheProcessorAreNamed() {
        Natives natives = natives(0, 0, "");
        assertFinding(
                Status.OK,
                Area.MACHINE,
                "oneDNN on 8 threads, AVX2; has avx2",
                "",
                Checks.cpu(PLAIN, natives, Map.of()));
        assertFinding(
                Status.WARN,
                Area.SETTINGS,
                "ATEN_CPU_CAPABILITY is default",
                "unset",
                Checks.cpu(PLAIN, natives, Map.of("ATEN_CPU_CAPABILITY", "default")));
        Natives old = new Natives("linux-x86_64", "", "", "", 0, "OpenBLAS on 2 threads, DEFAULT", 0, 0, "");
        assertFinding(Status.WARN, Area.MACHINE, "DEFAULT", "newer processor", Checks.cpu(PLAIN, old, Map.of()));
        assertFinding(
                Status.OK,
                Area.MACHINE,
                "8 of 8 cores, affinity 0-7, no container",
                "",
                Checks.threads(PLAIN, 8, Map.of()));
        assertFinding(
                Status.WARN,
                Area.SETTINGS,
                "OMP_NUM_THREADS is 1",
                "unset",
                Checks.threads(PLAIN, 8, Map.of("OMP_NUM_THREADS", "1")));
        Machine half = machine(4 * GIB, OptionalDouble.of(0.5));
        assertFinding(Status.WARN, Area.SETTINGS, "gets 0.5", "--cpus", Checks.threads(half, 1, Map.of()));
    }

    @Test
    void driverCardAndLibTorchMustFit() {
        Gpus none = new Gpus("", 0, 0, List.of(), 0), unused = new Gpus("", 0, 0, List.of(), 1);
        assertFinding(Status.OK, Area.MACHINE, "none of NVIDIA", "", Checks.gpu(none, natives(0, 0, "")));
        assertFinding(
                Status.WARN,
                Area.MACHINE,
                "1 NVIDIA card(s) without",
                "driver 580",
                Checks.gpu(unused, natives(0, 0, "")));
        Gpus hopper = gpus("580.95.05", 13, 9.0);
        assertFinding(
                Status.WARN,
                Area.MACHINE,
                "for the processor only",
                "-Ddit.platform=linux-x86_64-gpu",
                Checks.gpu(hopper, natives(0, 0, "")));
        assertFinding(
                Status.OK,
                Area.MACHINE,
                "H100 (79 GiB of 80 GiB free), driver 580.95.05 for CUDA up to 13.0, LibTorch for CUDA 13.1",
                "",
                Checks.gpu(hopper, natives(13010, 1, "")));
        assertFinding(
                Status.FAIL,
                Area.MACHINE,
                "too old",
                "driver 580",
                Checks.gpu(gpus("550.1", 12, 9.0), natives(13010, 0, "")));
        assertFinding(
                Status.WARN,
                Area.MACHINE,
                "capability 6.1",
                "--device cpu",
                Checks.gpu(gpus("580.1", 13, 6.1), natives(13010, 1, "")));
        assertFinding(
                Status.FAIL,
                Area.MACHINE,
                "sees no card",
                "CUDA_VISIBLE_DEVICES",
                Checks.gpu(hopper, natives(13010, 0, "")));
        assertFinding(Status.WARN, Area.MACHINE, "not tried", "natives", Checks.gpu(hopper, natives(0, 0, "broken")));
    }

    @Test
    void tooLittleMemoryFails() {
        assertFinding(
                Status.OK,
                Area.MEMORY,
                "4.0 GiB of 16 GiB available, the container gets 4.0 GiB",
                "",
                Checks.memory(PLAIN));
        Machine small = machine(GIB, OptionalDouble.empty()), none = machine(GIB / 4, OptionalDouble.empty());
        assertFinding(Status.WARN, Area.MEMORY, "1.0 GiB", "--dry-run", Checks.memory(small));
        assertFinding(Status.FAIL, Area.MEMORY, "256 MiB", "end other programs", Checks.memory(none));
    }

    @Test
    void disksAreTriedAndLeftAsTheyWere() throws IOException {
        Path absent = root.resolve("results/of/mine");
        assertFinding(Status.OK, Area.DISK, root + " has ", "", Checks.disk("results", absent));
        try (Stream<Path> left = Files.list(root)) {
            assertEquals(0, left.count());
        }
        Path file = Files.writeString(root.resolve("file"), "");
        assertFinding(Status.FAIL, Area.SETTINGS, "is a file", "another folder", Checks.disk("results", file));
        assertFinding(Status.FAIL, Area.DISK, "1.0 MiB free", "make room", Checks.disk("temp", root, 1 << 20, 0.01));
        assertFinding(Status.WARN, Area.DISK, "1.0 GiB free", "--dry-run", Checks.disk("temp", root, GIB, 0.01));
        assertFinding(Status.WARN, Area.DISK, "took 9000 ms", "slow disk", Checks.disk("temp", root, 9 * GIB, 9));
        assertFinding(Status.WARN, Area.MACHINE, "no captions", "apt install", Checks.fonts(false));
    }

    @Test
    void aDeviceThatIsNotThereFailsTheTrial() {
        assertEquals(Status.OK, Checks.model("cpu").status());
        assertFinding(Status.FAIL, Area.MACHINE, "\"cuda:99\" is not here", "--device cpu", Checks.model("cuda:99"));
    }

    private void write(String file, String text) throws IOException {
        Path path = root.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, text);
    }

    @Test
    void limitsOfAContainerAreRead() throws IOException {
        write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
        write(
                "proc/cpuinfo",
                "processor\t: 0\nflags\t\t: fpu avx2 avx512f\nprocessor\t: 1\nflags\t\t: fpu avx2 avx512f\n");
        write("proc/self/status", "Name:\tjava\nCpus_allowed_list:\t0-1\n");
        Machine free = Machine.read(root);
        assertEquals(16 * GIB, free.totalMemory());
        assertEquals(8 * GIB, free.availableMemory());
        assertEquals(2, free.cores());
        assertEquals("0-1", free.affinity());
        assertEquals(Set.of("avx2", "avx512f"), free.cpuFeatures());
        assertTrue(free.memoryLimit().isEmpty() && free.cpuLimit().isEmpty());

        write("proc/self/cgroup", "0::/outer/inner\n");
        write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
        write("sys/fs/cgroup/outer/memory.max", 3 * GIB + "\n");
        write("sys/fs/cgroup/outer/memory.current", 2 * GIB + "\n");
        write("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file " + GIB + "\n");
        write("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
        Machine limited = Machine.read(root);
        assertEquals(OptionalLong.of(3 * GIB), limited.memoryLimit());
        assertEquals(2 * GIB, limited.availableMemory());
        assertEquals(OptionalDouble.of(1.5), limited.cpuLimit());

        write(
                "proc/self/cgroup",
                "4:cpu,cpuacct:/docker/1\n8:memory:/docker/1\n"); // as version 1 has it, in a container
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", 4 * GIB + "\n");
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", GIB + "\n");
        write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        Machine former = Machine.read(root);
        assertEquals(OptionalLong.of(4 * GIB), former.memoryLimit());
        assertEquals(3 * GIB, former.availableMemory());
        assertTrue(former.cpuLimit().isEmpty());
    }

    @Test
    void cardsAreReadFromNvidiaSmiOrElseFromTheKernel() throws IOException {
        Gpus two = Gpus.of(
                "580.95.05, 81559, 81000, 9.0, NVIDIA H100 80GB HBM3\n580.95.05, 16384, 9, 8.6, NVIDIA RTX A4000\n",
                "| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0  |",
                root);
        assertEquals("580.95.05", two.driver());
        assertEquals(13, two.cudaMajor());
        assertEquals(
                List.of("NVIDIA H100 80GB HBM3", "NVIDIA RTX A4000"),
                two.cards().stream().map(Gpus.Card::name).toList());
        assertEquals(81559L << 20, two.cards().get(0).totalMemory());
        assertEquals(8.6, two.cards().get(1).capability());

        write(
                "proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC");
        write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        write("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
        write("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");
        write("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n"); // its sound
        Gpus kernel = Gpus.of("", "", root);
        assertEquals(new Gpus("535.104.05", 12, 0, List.of(), 1), kernel);
        write(
                "proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n");
        assertEquals("580.95.05", Gpus.of("", "", root).driver());
        assertFalse(Machine.read(root).system().isEmpty());
    }
}
