package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.io.Images;
import org.dit4j.report.Board;
import org.dit4j.report.ClassGrid;
import org.dit4j.report.Fonts;
import org.dit4j.report.PngText;
import org.dit4j.report.Recipe;
import org.dit4j.run.RunFolder;
import org.dit4j.torch.Precision;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit demo [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Trains a small model on the built-in shapes, a few minutes on two cores, and draws what it learned.",
            "It is dit train by the recipe recipes/glyphs.yaml, and then dit sample. The other flags of dit train work too;"
                    + " they win over the recipe."
        })
final class DemoCommand implements Callable<Integer> {
    @Option(
            names = "--rows",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Pictures of each class in the grid. Default: ${DEFAULT-VALUE}.")
    private int rows = 4;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Mixin
    private final TrainFlags flags = new TrainFlags();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut(), err = spec.commandLine().getErr();
        Recipe recipe = Failure.as(ExitCode.INTERNAL, () -> Recipe.builtIn("glyphs.yaml"));
        try (Training training = Training.prepare(spec, flags, recipe)) {
            RunFolder folder = training.run(err);
            Path grid = drawGrid(folder, training, err), curves = Board.curves(folder);
            if (json) {
                Map<String, Object> result = training.result(folder);
                result.put("grid", grid.toString());
                result.put("columns", training.classNames());
                result.put("curves", Files.exists(curves) ? curves.toString() : null);
                out.println(new ObjectMapper().writeValueAsString(result));
            } else {
                out.println("grid: " + grid);
                if (!Fonts.available()) out.println("columns: " + String.join(", ", training.classNames()));
                if (Files.exists(curves)) out.println("curves: " + curves);
                out.println("more: " + training.sampleCommand(folder));
            }
        }
        out.flush();
        return ExitCode.DONE.code;
    }

    private Path drawGrid(RunFolder folder, Training training, PrintWriter err) throws IOException {
        try (DiTPipeline pipeline = DiTPipeline.open(folder.path(), flags.device(), Precision.FP32)) {
            List<String> names = pipeline.classNames().names();
            List<ClassChoice> classes = new ArrayList<>();
            for (int row = 0; row < rows; row++)
                for (int label = 0; label < names.size(); label++) classes.add(ClassChoice.of(label));
            SampleRequest request = training.sampling(classes);
            List<BufferedImage> pictures = Drawing.draw(pipeline, request, err);
            Path file = folder.path().resolve("grid.png");
            Images.writePng(
                    file,
                    ClassGrid.captioned(ClassGrid.viewable(pictures), names),
                    PngText.of(request, pipeline, folder.path().toString()));
            return file;
        }
    }
}
