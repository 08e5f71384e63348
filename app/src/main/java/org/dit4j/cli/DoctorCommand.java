package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.data.Dataset;
import org.dit4j.doctor.Checks;
import org.dit4j.doctor.Finding;
import org.dit4j.doctor.Finding.Area;
import org.dit4j.doctor.Finding.Status;
import org.dit4j.doctor.Gpus;
import org.dit4j.doctor.Machine;
import org.dit4j.doctor.Natives;
import org.dit4j.report.Fonts;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit doctor [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Looks whether dit works here, in seconds: system, Java, native libraries, processor, GPU, memory, disks, one training"
                    + " step and one sample of a tiny model. Each line is OK, WARN or FAIL, with the cure below.",
            "Exits with 0 if nothing fails, else with the code of what fails first: 6 the machine, 7 memory, 8 disk, 2 a folder,"
                    + " 4 the data."
        })
final class DoctorCommand implements Callable<Integer> {
    @Option(
            names = "--results-dir",
            paramLabel = "FOLDER",
            description = "Where runs are to be; nothing stays there. Default: ${DEFAULT-VALUE}.")
    private Path resultsDir = Path.of("results");

    @Mixin
    private final PictureFlags data = new PictureFlags();

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    private final List<Finding> findings = new ArrayList<>();

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        check();
        double seconds = Math.round((System.nanoTime() - start) / 1e8) / 10.0;
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("works", count(Status.FAIL) == 0);
            result.put("checks", findings);
            result.put("seconds", seconds);
            out.println(new ObjectMapper().writeValueAsString(result));
        } else
            out.printf(
                    Locale.ROOT,
                    "%d OK, %d WARN, %d FAIL in %.1f s%n",
                    count(Status.OK),
                    count(Status.WARN),
                    count(Status.FAIL),
                    seconds);
        out.flush();
        return exitCode(findings).code;
    }

    private void check() {
        Machine machine = Machine.read(); // before LibTorch takes its memory
        List<Path> repaired = Natives.repair();
        if (!repaired.isEmpty()) add(Checks.repaired(repaired));
        Natives natives = Natives.load();
        add(Checks.system(machine, natives));
        add(Checks.java(
                Runtime.version().feature(),
                Runtime.version() + ", " + System.getProperty("java.vm.name") + " of "
                        + System.getProperty("java.vendor"),
                Runtime.getRuntime().maxMemory()));
        add(Checks.natives(natives));
        Map<String, String> environment = System.getenv();
        if (natives.problem().isEmpty()) add(Checks.cpu(machine, natives, environment));
        add(Checks.threads(machine, Runtime.getRuntime().availableProcessors(), environment));
        add(Checks.gpu(Gpus.read(), natives));
        add(Checks.memory(machine));
        add(Checks.disk("results", resultsDir));
        add(Checks.disk("temp", Path.of(System.getProperty("java.io.tmpdir"))));
        add(Checks.fonts(Fonts.available()));
        add(Checks.pictures());
        if (data.isGiven()) add(data());
        if (!natives.problem().isEmpty()) return;
        add(Checks.model("cpu"));
        for (int card = 0; card < natives.cudaDevices(); card++) add(Checks.model("cuda:" + card));
    }

    /** Shown as it is found: what hangs, hangs in the check after the last line. */
    private void add(Finding finding) {
        findings.add(finding);
        if (json) return;
        spec.commandLine().getOut().println(finding.toLines());
        spec.commandLine().getOut().flush();
    }

    private Finding data() {
        try (Dataset opened = data.open(data.config())) {
            return Checks.data(opened.describe());
        } catch (IOException | RuntimeException e) {
            return Finding.fail(
                    "data", Area.DATA, Failure.of(e).getMessage(), "dit train --help says what --data-path takes");
        }
    }

    private long count(Status status) {
        return findings.stream().filter(finding -> finding.status() == status).count();
    }

    /** Of what fails first. */
    static ExitCode exitCode(List<Finding> findings) {
        return findings.stream()
                .filter(finding -> finding.status() == Status.FAIL)
                .findFirst()
                .map(finding -> switch (finding.area()) {
                    case MACHINE -> ExitCode.DEVICE;
                    case SETTINGS -> ExitCode.USAGE;
                    case MEMORY -> ExitCode.OUT_OF_MEMORY;
                    case DISK -> ExitCode.DISK_FULL;
                    case DATA -> ExitCode.DATA;
                })
                .orElse(ExitCode.DONE);
    }
}
