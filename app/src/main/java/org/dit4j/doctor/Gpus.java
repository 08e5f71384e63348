package org.dit4j.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * NVIDIA's cards and their driver, as the system sees them; LibTorch may see less.
 *
 * @param driver version of the driver, for example "580.95.05"; empty if there is none
 * @param cudaMajor the newest CUDA whose programs the driver runs, 0 if unknown
 * @param cudaMinor its second number
 * @param cards in the driver's order; empty where only the driver is known
 * @param onBus how many cards are plugged in, with a driver or without
 */
public record Gpus(String driver, int cudaMajor, int cudaMinor, List<Card> cards, int onBus) {
    private static final Pattern CUDA = Pattern.compile("CUDA Version: (\\d+)\\.(\\d+)");
    private static final Pattern KERNEL_MODULE = Pattern.compile("Kernel Module\\s+(?:for \\S+\\s+)?(\\d+\\.[\\d.]+)");
    private static final String NVIDIA = "0x10de", DISPLAY = "0x03";

    /**
     * One card.
     *
     * @param totalMemory bytes
     * @param freeMemory bytes
     * @param capability compute capability, for example 9.0
     */
    public record Card(String name, long totalMemory, long freeMemory, double capability) {}

    /** Of this machine. */
    public static Gpus read() {
        String cards = output(
                "nvidia-smi",
                "--query-gpu=driver_version,memory.total,memory.free,compute_cap,name",
                "--format=csv,noheader,nounits");
        return of(cards, cards.isEmpty() ? "" : output("nvidia-smi"), Path.of("/"));
    }

    /**
     * @param query what {@code nvidia-smi} says of each card; empty if it is not there
     * @param summary what it says without arguments
     * @param root of the system's own files
     */
    static Gpus of(String query, String summary, Path root) {
        List<String[]> lines = query.lines()
                .map(line -> line.split(",\\s*", 5))
                .filter(fields -> fields.length == 5)
                .toList();
        Matcher module = KERNEL_MODULE.matcher(Machine.text(root.resolve("proc/driver/nvidia/version")));
        String driver = !lines.isEmpty() ? lines.get(0)[0].strip() : module.find() ? module.group(1) : "";
        Matcher cuda = CUDA.matcher(summary);
        boolean said = cuda.find();
        return new Gpus(
                driver,
                said ? Integer.parseInt(cuda.group(1)) : cudaMajor(driver),
                said ? Integer.parseInt(cuda.group(2)) : 0,
                lines.stream().map(Gpus::card).toList(),
                onBus(root));
    }

    private static Card card(String[] fields) {
        return new Card(fields[4].strip(), mebibytes(fields[1]), mebibytes(fields[2]), number(fields[3]));
    }

    private static long mebibytes(String text) {
        return (long) number(text) << 20;
    }

    /** 0 for what a driver does not know of a card ("[N/A]"). */
    private static double number(String text) {
        return text.strip().matches("\\d+(\\.\\d+)?") ? Double.parseDouble(text.strip()) : 0;
    }

    /** By NVIDIA's table of the oldest drivers of each CUDA. */
    private static int cudaMajor(String driver) {
        double version = driver.isEmpty() ? 0 : number(driver.replaceFirst("\\..*", ""));
        return version >= 580 ? 13 : version >= 525 ? 12 : version >= 450 ? 11 : 0;
    }

    private static int onBus(Path root) {
        Path devices = root.resolve("sys/bus/pci/devices");
        if (!Files.isDirectory(devices)) return 0;
        try (Stream<Path> all = Files.list(devices)) {
            return (int)
                    all.filter(device -> Machine.text(device.resolve("vendor")).startsWith(NVIDIA)
                                    && Machine.text(device.resolve("class")).startsWith(DISPLAY))
                            .count();
        } catch (IOException e) {
            return 0; // a sandbox may hide it
        }
    }

    /** What a program prints; empty if it is not there, fails, or does not end within seconds, as with a driver that hangs. */
    private static String output(String... command) {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            process.getOutputStream().close();
            try {
                // both answers fit into a pipe's buffer
                if (!process.waitFor(5, TimeUnit.SECONDS) || process.exitValue() != 0) return "";
                return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
