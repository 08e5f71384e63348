package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.report.Estimate;
import org.dit4j.report.Recipe;
import org.dit4j.run.RunFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit train [--config=FILE] [--data-path=PATH] [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Trains a model. Leaves a numbered run folder with the configuration, a log, checkpoints, grids of samples, curves"
                    + " and a model card.",
            "Flags win over the recipe, and the recipe over the defaults, which are those of the paper."
        },
        footer = {
            "",
            "For example:",
            "  dit train --config recipes/fashion-mnist.yaml --data-path ~/fashion-mnist",
            "  dit train --data-path photos --image-size 64 --model DiT-S/4 --global-batch-size 64 --max-steps 20000",
            "  dit train --data-path latents --init-from DiT-XL-2-256x256.pt --max-steps 20000",
            "  dit train --data-path glyphs --model DiT-S/8 --max-steps 500 --dry-run"
        })
final class TrainCommand implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Option(names = "--config", paramLabel = "FILE", description = "A recipe: a YAML file of flags without dashes.")
    private Path config;

    @Option(
            names = "--dry-run",
            description =
                    "Check everything, print the resolved configuration with where each value is from and, from a few"
                            + " steps that are forgotten, an estimate of memory, time and disk, and stop.")
    private boolean dryRun;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Mixin
    private final TrainFlags flags = new TrainFlags();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        try (Training training = Training.prepare(spec, flags, recipe())) {
            if (dryRun) dryRun(training, out);
            else {
                RunFolder folder = training.run(spec.commandLine().getErr());
                out.println(json ? JSON.writeValueAsString(training.result(folder)) : training.sampleCommand(folder));
            }
        }
        out.flush();
        return ExitCode.DONE.code;
    }

    private Recipe recipe() {
        return config == null ? Recipe.NONE : Failure.as(ExitCode.USAGE, () -> Recipe.read(config));
    }

    private void dryRun(Training training, PrintWriter out) throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        err.println("taking a few steps to measure, some 20 seconds at most");
        err.flush();
        Training.Beginning beginning = training.beginning();
        Estimate estimate = training.estimate(beginning);
        if (json) {
            Map<String, Object> result = training.configuration(beginning);
            result.put("estimate", estimate);
            out.println(JSON.writeValueAsString(result));
        } else out.print(beginning.toComments() + training.describe() + estimate.toComments());
    }
}
