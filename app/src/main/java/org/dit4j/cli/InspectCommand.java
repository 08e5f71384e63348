package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.dit4j.checkpoint.Inspection;
import org.dit4j.io.Images;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "inspect",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Shows what a file of weights holds: the model, as far as it can be told, tensors, metadata, SHA-256.",
            "Of a picture (.png) how it was drawn. Nothing in the file is run, whatever it holds."
        })
final class InspectCommand implements Callable<Integer> {
    private static final int MAX_METADATA = 200, MAX_OTHERS = 40;

    @Parameters(
            index = "0",
            paramLabel = "PATH",
            description = "A .pt or .safetensors file of anything, whatever dit sample --ckpt takes, or a picture.")
    private Path path;

    @Mixin
    private final OpenFlags open = new OpenFlags();

    @Option(names = "--json", description = "Print one JSON object, metadata in full.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        if (isPng()) return picture();
        Inspection inspection = Failure.as(ExitCode.CHECKPOINT, () -> Inspection.of(path, open.options(null)));
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(values(inspection)));
        else print(inspection, out);
        out.flush();
        return ExitCode.DONE.code;
    }

    private boolean isPng() {
        return Files.isRegularFile(path)
                && path.toString().toLowerCase(Locale.ROOT).endsWith(".png");
    }

    /** How a picture was drawn, as its text says. */
    private int picture() throws IOException {
        Map<String, String> text = Images.readPngText(path);
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(text));
        else if (text.isEmpty())
            out.println("a PNG without text: it was not drawn by dit4j, or lost its text on the way");
        else text.forEach((name, value) -> out.println(printable(name) + ": " + printable(value)));
        out.flush();
        return ExitCode.DONE.code;
    }

    private static Map<String, Object> values(Inspection inspection) {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("guess", inspection.guess());
        values.put("format", inspection.format());
        inspection.model().ifPresent(description -> {
            values.put("model", description.model());
            values.put("profile", Names.flag(description.profile()));
            values.put("classes", description.classNames());
            values.put("weights", description.weights());
        });
        values.put("files", inspection.files());
        values.put("numel", inspection.numel());
        values.put("metadata", inspection.metadata());
        values.put("tensors", inspection.tensors());
        if (!inspection.sets().isEmpty()) values.put("sets", inspection.sets());
        if (!inspection.others().isEmpty()) values.put("others", inspection.others());
        if (!inspection.notes().isEmpty()) values.put("notes", inspection.notes());
        return values;
    }

    private static void print(Inspection inspection, PrintWriter out) {
        out.println(inspection.guess());
        inspection.model().ifPresent(description -> {
            if (!description.weights().isEmpty()) out.println("weights: " + printable(description.weights()));
            out.println("profile: " + Names.flag(description.profile()));
        });
        if (inspection.model().isEmpty() && !inspection.sets().isEmpty())
            out.println("weights of a DiT at: " + printable(String.join(", ", inspection.sets())));
        for (String note : inspection.notes()) out.println("note: " + printable(note));
        for (Inspection.HashedFile file : inspection.files())
            out.printf(
                    Locale.ROOT,
                    "%s: %s, %,d bytes%n  SHA-256 %s%n",
                    file.path(),
                    inspection.format(),
                    file.bytes(),
                    file.sha256());
        inspection.metadata().forEach((key, value) -> out.println(printable(key) + ": " + printable(shortened(value))));
        printOthers(inspection.others(), out);
        Map<String, Integer> dtypes = new TreeMap<>();
        inspection.tensors().forEach(tensor -> dtypes.merge(tensor.dtype(), 1, Integer::sum));
        out.printf(
                Locale.ROOT,
                "%d tensors, %,d numbers, %s%n",
                inspection.tensors().size(),
                inspection.numel(),
                dtypes);
        List<Inspection.NamedTensor> tensors = inspection.tensors();
        int width = tensors.stream()
                .mapToInt(tensor -> Math.max(1, tensor.name().length())) // a file's only tensor has no name
                .max()
                .orElse(1);
        for (Inspection.NamedTensor tensor : tensors)
            out.printf(
                    "  %-" + Math.min(width, 80) + "s  %-8s  %s%n",
                    printable(tensor.name()),
                    tensor.dtype(),
                    tensor.shape());
    }

    private static void printOthers(Map<String, String> others, PrintWriter out) {
        if (others.isEmpty()) return;
        out.println(others.size() + " things that are no tensors here; nothing of them was built or run:");
        others.entrySet().stream()
                .limit(MAX_OTHERS)
                .forEach(other -> out.println(
                        "  " + printable(shortened(other.getKey())) + ": " + printable(shortened(other.getValue()))));
        if (others.size() > MAX_OTHERS) out.println("  … (--json shows all)");
    }

    private static String shortened(String text) {
        return text.length() <= MAX_METADATA ? text : text.substring(0, MAX_METADATA) + " … (--json shows all)";
    }

    /** A strange file's text must not steer the terminal. */
    private static String printable(String text) {
        return text.replaceAll("\\p{Cntrl}", "?");
    }
}
