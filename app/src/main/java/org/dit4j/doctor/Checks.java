package org.dit4j.doctor;

import static org.dit4j.doctor.Finding.fail;
import static org.dit4j.doctor.Finding.ok;
import static org.dit4j.doctor.Finding.warn;
import static org.dit4j.doctor.Machine.bytes;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import org.dit4j.DiTPipeline;
import org.dit4j.PictureDecoder;
import org.dit4j.SampleRequest;
import org.dit4j.data.Glyphs;
import org.dit4j.doctor.Finding.Area;
import org.dit4j.io.Durable;
import org.dit4j.io.FileLocks;
import org.dit4j.io.Images;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.train.Execution;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;

/** The checks: each looks at facts and says what it found. What is tried for real (disks, a training step, a sample) is tiny. */
public final class Checks {
    private static final long MIB = 1 << 20, GIB = 1 << 30;
    private static final int OLDEST_JAVA = 17;
    private static final double OLDEST_CARD = 7.5;
    /** Some 400 MiB are LibTorch itself. */
    private static final long LEAST_MEMORY = 512 * MIB, SMALL_MEMORY = 2 * GIB;

    private static final long LEAST_HEAP = 256 * MIB, LEAST_DISK = 100 * MIB, SMALL_DISK = 2 * GIB;
    private static final int TRIED_BYTES = 4 << 20;
    private static final double SLOW_SECONDS = 2;

    private static final DiTConfig TINY =
            new DiTConfig(16, 16, 4, 3, 64, 2, 2, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    private Checks() {}

    /** The operating system and the processor's kind. */
    public static Finding system(Machine machine, Natives natives) {
        String text = machine.system() + ", " + machine.architecture();
        if (!Natives.PLATFORMS.contains(natives.platform()))
            return fail(
                    "system",
                    Area.MACHINE,
                    text + ": there is no LibTorch for " + natives.platform(),
                    "use one of " + Natives.PLATFORMS + "; docs/platforms.md says more");
        if (!natives.platform().startsWith("linux"))
            return warn(
                    "system",
                    Area.MACHINE,
                    text + ": dit4j was never run on " + natives.platform(),
                    "the checks below show how it does here; please report what they say");
        return ok("system", Area.MACHINE, text);
    }

    /** The Java that runs this: {@code version} is its feature release, {@code maxHeap} in bytes. */
    public static Finding java(int version, String name, long maxHeap) {
        String text = name + ", heap up to " + bytes(maxHeap);
        if (version < OLDEST_JAVA)
            return fail(
                    "java", Area.MACHINE, text, "install JDK " + OLDEST_JAVA + " or newer, and set JAVA_HOME to it");
        if (maxHeap < LEAST_HEAP)
            return warn("java", Area.MEMORY, text, "decoding pictures needs more: DIT_JAVA_OPTS=-Xmx1g dit ...");
        return ok("java", Area.MACHINE, text);
    }

    /** JavaCPP and LibTorch. */
    public static Finding natives(Natives natives) {
        if (!natives.loaded())
            return fail(
                    "natives",
                    Area.MACHINE,
                    natives.problem(),
                    natives.problem().matches(".*(failed to map segment|cannot be unpacked).*")
                            ? "name a folder with room whose disk may hold programs (not mounted noexec):"
                                    + " DIT_JAVA_OPTS=-Dorg.bytedeco.javacpp.cachedir=FOLDER dit ..."
                            : natives.problem().matches(".*\\b(libcu|libnv|libnccl|libcupti).*")
                                    ? "install CUDA 13's libraries (cudart, cublas, cudnn 9, nccl, nvrtc, cupti, cufft, curand,"
                                            + " cusparse, cufile) and name their folder in LD_LIBRARY_PATH"
                                    : "build for this platform: mvn package -Ddit.platform=" + natives.platform()
                                            + ", or DIT_PLATFORM=" + natives.platform() + " ./dit doctor");
        String text = String.format(
                Locale.ROOT,
                "LibTorch %s%s, JavaCPP %s, %s, loaded in %.1f s from %s",
                natives.libtorch(),
                natives.cuda() == 0 ? "" : " for CUDA " + cuda(natives.cuda()),
                natives.javacpp(),
                natives.platform(),
                natives.seconds(),
                natives.from());
        String binding = natives.libtorch().replaceFirst(".*-", "");
        if (!binding.equals(natives.javacpp()))
            return warn(
                    "natives",
                    Area.MACHINE,
                    text,
                    "the class path has JavaCPP " + natives.javacpp() + ", this LibTorch was bound by " + binding
                            + "; give both the same version");
        return ok("natives", Area.MACHINE, text);
    }

    /** What {@link Natives#repair} has replaced: not nothing. */
    public static Finding repaired(List<Path> libraries) {
        return warn(
                "libraries",
                Area.MACHINE,
                "damaged where they were unpacked, and replaced: "
                        + libraries.stream()
                                .map(library -> library.getFileName().toString())
                                .collect(Collectors.joining(", ")),
                "none is needed now; if it comes back, the disk or the memory of this machine is failing");
    }

    private static String cuda(long version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /** Vector instructions: what the processor has, and what LibTorch uses. */
    public static Finding cpu(Machine machine, Natives natives, Map<String, String> environment) {
        String has = machine.cpuFeatures().isEmpty() ? "" : "; has " + String.join(", ", machine.cpuFeatures());
        String text = "float32 products by " + natives.products() + has;
        String limited = environment.getOrDefault("ATEN_CPU_CAPABILITY", "");
        if (!limited.isEmpty())
            return warn(
                    "cpu",
                    Area.SETTINGS,
                    text + "; ATEN_CPU_CAPABILITY is " + limited,
                    "unset ATEN_CPU_CAPABILITY, unless that is meant");
        boolean slow =
                machine.architecture().equals("amd64") && natives.products().endsWith("DEFAULT");
        return slow
                ? warn("cpu", Area.MACHINE, text, "without AVX2 all is several times slower; use a newer processor")
                : ok("cpu", Area.MACHINE, text);
    }

    /** Cores, and what keeps this process from using them; {@code usable} is what Java sees. */
    public static Finding threads(Machine machine, int usable, Map<String, String> environment) {
        StringBuilder text = new StringBuilder(usable + " of " + machine.cores() + " cores");
        if (!machine.affinity().isEmpty()) text.append(", affinity ").append(machine.affinity());
        machine.cpuLimit()
                .ifPresentOrElse(
                        cores -> text.append(String.format(Locale.ROOT, ", the container gets %.1f", cores)),
                        () -> text.append(", no container limit"));
        String asked = environment.getOrDefault("OMP_NUM_THREADS", "");
        if (asked.matches("\\d{1,6}") && Integer.parseInt(asked) < usable)
            return warn(
                    "threads",
                    Area.SETTINGS,
                    text + "; OMP_NUM_THREADS is " + asked,
                    "unset OMP_NUM_THREADS to use all cores");
        if (machine.cpuLimit().isPresent() && machine.cpuLimit().getAsDouble() < 1)
            return warn("threads", Area.SETTINGS, text.toString(), "give the container at least one core (--cpus 2)");
        return ok("threads", Area.MACHINE, text.toString());
    }

    /** Cards, their driver, and whether it runs the CUDA that LibTorch was built for. */
    public static Finding gpu(Gpus gpus, Natives natives) {
        String cards = gpus.cards().stream()
                .map(card ->
                        card.name() + " (" + bytes(card.freeMemory()) + " of " + bytes(card.totalMemory()) + " free)")
                .collect(Collectors.joining(", "));
        String text = (cards.isEmpty() ? "an NVIDIA card" : cards) + ", driver " + gpus.driver()
                + (gpus.cudaMajor() == 0 ? "" : " for CUDA up to " + gpus.cudaMajor() + "." + gpus.cudaMinor());
        if (gpus.driver().isEmpty())
            return gpus.onBus() == 0
                    ? ok("gpu", Area.MACHINE, "none of NVIDIA; dit computes on the processor")
                    : warn(
                            "gpu",
                            Area.MACHINE,
                            gpus.onBus() + " NVIDIA card(s) without a driver",
                            "install NVIDIA's driver 580 or newer, or dit computes on the processor");
        if (natives.loaded() && natives.cuda() == 0)
            return warn(
                    "gpu",
                    Area.MACHINE,
                    text + ", but this LibTorch is for the processor only",
                    "DIT_PLATFORM=" + natives.platform() + "-gpu ./dit ..., or with Maven -Ddit.platform="
                            + natives.platform() + "-gpu; docs/platforms.md names the CUDA libraries that it needs");
        if (!natives.loaded())
            return warn("gpu", Area.MACHINE, text + "; not tried", "see natives above: LibTorch does not load");
        String built = ", LibTorch for CUDA " + cuda(natives.cuda());
        if (gpus.cudaMajor() > 0 && gpus.cudaMajor() < natives.cuda() / 1000)
            return fail(
                    "gpu",
                    Area.MACHINE,
                    text + built + ": the driver is too old",
                    "install NVIDIA's driver 580 or newer, or compute on the processor: --device cpu");
        for (Gpus.Card card : gpus.cards())
            if (card.capability() > 0 && card.capability() < OLDEST_CARD)
                return warn(
                        "gpu",
                        Area.MACHINE,
                        text + built + ": compute capability " + card.capability() + " of " + card.name() + " is below "
                                + OLDEST_CARD,
                        "this LibTorch has no code for that card: use a newer one, or --device cpu");
        if (natives.cudaDevices() == 0)
            return fail(
                    "gpu",
                    Area.MACHINE,
                    text + built + ": LibTorch sees no card",
                    "look at CUDA_VISIBLE_DEVICES, and whether the container was given the cards (--gpus all)");
        return ok("gpu", Area.MACHINE, text + built);
    }

    /** The machine's memory and the container's. */
    public static Finding memory(Machine machine) {
        StringBuilder text = new StringBuilder(
                bytes(machine.availableMemory()) + " of " + bytes(machine.totalMemory()) + " available");
        machine.memoryLimit()
                .ifPresentOrElse(
                        limit -> text.append(", the container gets ").append(bytes(limit)),
                        () -> text.append(", no container limit"));
        if (machine.availableMemory() < LEAST_MEMORY)
            return fail(
                    "memory",
                    Area.MEMORY,
                    text.toString(),
                    "LibTorch alone takes some " + bytes(LEAST_MEMORY) + ": end other programs, or raise the limit");
        if (machine.availableMemory() < SMALL_MEMORY)
            return warn(
                    "memory",
                    Area.MEMORY,
                    text.toString(),
                    "enough for small models only; dit train --dry-run says what a run needs");
        return ok("memory", Area.MEMORY, text.toString());
    }

    /** Writes a small file where {@code folder} is, or will be made, forces it to the disk, and removes it. */
    public static Finding disk(String name, Path folder) {
        Path existing = Machine.existing(folder);
        if (!Files.isDirectory(existing))
            return fail(name, Area.SETTINGS, existing + " is a file, not a folder", "name another folder");
        Path file = existing.resolve(".dit-doctor-" + UUID.randomUUID());
        try {
            long free = Files.getFileStore(existing).getUsableSpace();
            if (free < TRIED_BYTES)
                return fail(name, Area.DISK, existing + " is full", "make room, or name another folder");
            long start = System.nanoTime();
            double seconds;
            List<String> lacks = new ArrayList<>();
            try (FileChannel channel =
                    FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                for (ByteBuffer zeros = ByteBuffer.allocate(TRIED_BYTES); zeros.hasRemaining(); ) channel.write(zeros);
                seconds = force(channel, start);
                if (!FileLocks.isSupported(file, channel)) lacks.add("locks");
            } finally {
                Files.deleteIfExists(file);
            }
            if (seconds < 0 || !forcesNames(existing)) lacks.add("forcing to the disk");
            return disk(name, existing, free, Math.max(0, seconds), lacks);
        } catch (IOException e) {
            return fail(
                    name,
                    String.valueOf(e.getMessage()).contains("No space left") ? Area.DISK : Area.SETTINGS,
                    existing + " cannot be written: " + reason(e),
                    "name another folder, or let this user write there (chmod, chown)");
        }
    }

    /** The seconds since {@code start}; less than none where the file system does not force files. */
    private static double force(FileChannel channel, long start) throws IOException {
        try {
            channel.force(true);
            return (System.nanoTime() - start) / 1e9;
        } catch (IOException e) {
            if (Durable.isUnsupported(e)) return -1;
            throw e;
        }
    }

    private static boolean forcesNames(Path folder) throws IOException {
        try {
            Durable.tryForceFolder(folder);
            return true;
        } catch (IOException e) {
            if (Durable.isUnsupported(e)) return false;
            throw e;
        }
    }

    private static String reason(IOException e) {
        return e instanceof java.nio.file.AccessDeniedException ? "permission denied" : e.getMessage();
    }

    static Finding disk(String name, Path folder, long free, double seconds) {
        return disk(name, folder, free, seconds, List.of());
    }

    /**
     * @param seconds what writing and forcing {@value #TRIED_BYTES} bytes took
     * @param lacks what the file system does not do, "locks" or "forcing to the disk"
     */
    static Finding disk(String name, Path folder, long free, double seconds, List<String> lacks) {
        String text = String.format(
                Locale.ROOT,
                "%s has %s free; writing and forcing %s took %.0f ms",
                folder,
                bytes(free),
                bytes(TRIED_BYTES),
                seconds * 1e3);
        if (free < LEAST_DISK)
            return fail(name, Area.DISK, text, "a checkpoint of a small model needs more: make room");
        if (free < SMALL_DISK)
            return warn(name, Area.DISK, text, "little room for checkpoints; dit train --dry-run says what they need");
        if (!lacks.isEmpty())
            return warn(
                    name,
                    Area.DISK,
                    text + "; its file system has no " + String.join(" and no ", lacks),
                    (lacks.contains("locks")
                                    ? "start only one command that writes to a run or data set: nothing stops a second. "
                                    : "")
                            + (lacks.contains("forcing to the disk")
                                    ? "After a power failure the newest checkpoints may be gone or damaged. "
                                    : "")
                            + "A local disk does better");
        if (seconds > SLOW_SECONDS)
            return warn(name, Area.DISK, text, "a slow disk: save less often (--ckpt-every), or to another one");
        return ok(name, Area.DISK, text);
    }

    /** One training step and one sample of a tiny model. */
    public static Finding model(String device) {
        TrainConfig config = TrainConfig.published(TINY).withGlobalBatchSize(4);
        Execution execution = Execution.DEFAULT.withDevice(device).withNumWorkers(0);
        String name = "model " + device;
        Glyphs data = new Glyphs(0, TINY.inputHeight());
        try (Trainer trainer = new Trainer(config, execution, data)) {
            long start = System.nanoTime();
            trainer.step();
            double loss = trainer.drainMeanLoss(); // waits for the device
            double trained = (System.nanoTime() - start) / 1e6;
            start = System.nanoTime();
            try (DiTPipeline pipeline = DiTPipeline.of(
                    trainer.state().averagedNetwork(),
                    config.diffusion(),
                    data.classNames(),
                    device,
                    PictureDecoder.PIXELS)) {
                pipeline.sample(SampleRequest.ofLabels(0).withSteps(2));
            }
            String text = String.format(
                    Locale.ROOT,
                    "a training step took %.0f ms (loss %.3f), a sample of 2 steps %.0f ms",
                    trained,
                    loss,
                    (System.nanoTime() - start) / 1e6);
            return Double.isFinite(loss)
                    ? ok(name, Area.MACHINE, text)
                    : fail(name, Area.MACHINE, text, "this device miscomputes: use another (--device)");
        } catch (IOException | RuntimeException | LinkageError e) {
            return fail(
                    name,
                    Area.MACHINE,
                    String.valueOf(e.getMessage()).lines().findFirst().orElse(""),
                    "use another device (--device cpu), and report what dit doctor --debug prints");
        }
    }

    /** Captions and charts need fonts. */
    public static Finding fonts(boolean available) {
        return available
                ? ok("fonts", Area.MACHINE, "captions and charts can be drawn")
                : warn(
                        "fonts",
                        Area.MACHINE,
                        "none: grids have no captions, and there are no charts",
                        "install some (Debian: apt install fontconfig fonts-dejavu-core)");
    }

    /** What decodes pictures: the same code on every machine, so that no pixel depends on it. */
    public static Finding pictures() {
        return ok("pictures", Area.MACHINE, "JPEG by " + Images.JPEG_DECODER);
    }

    /** What a data set says of itself. */
    public static Finding data(String description) {
        return ok("data", Area.DATA, description);
    }
}
