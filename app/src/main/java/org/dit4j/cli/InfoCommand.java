package org.dit4j.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.LayerCost;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "info",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit info [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Lists the published models in each design of their block.",
            "Gflops are those of the paper: multiply-accumulates of one forward pass for one image, and one operation for each"
                    + " element of a LayerNorm. A count of floating-point operations is twice as much."
        })
final class InfoCommand implements Callable<Integer> {
    /** Pixels to a latent pixel, and channels of a latent, of Stable Diffusion's autoencoders. */
    private static final int VAE_FACTOR = 8, VAE_CHANNELS = 4;

    @Option(
            names = "--model",
            converter = Names.Models.class,
            completionCandidates = Names.Models.class,
            paramLabel = "NAME",
            description = "Only this model, for example DiT-XL/2.")
    private String model;

    @Option(
            names = "--block",
            converter = Names.Blocks.class,
            completionCandidates = Names.Blocks.class,
            paramLabel = "NAME",
            description = "Only this block design: ${COMPLETION-CANDIDATES}.")
    private DiTBlock.Kind block;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description = "Height and width of the pictures. Default: ${DEFAULT-VALUE}.")
    private int imageSize = 256;

    @Option(
            names = "--vae",
            converter = Names.Vaes.class,
            completionCandidates = Names.Vaes.class,
            paramLabel = "NAME",
            description = "ema, mse: on latents of 4 channels and an eighth of the size; none: on RGB pixels."
                    + " Default: ${DEFAULT-VALUE}.")
    private String vae = "ema";

    @Option(
            names = "--num-classes",
            converter = Ranges.Classes.class,
            paramLabel = "N",
            description = "Number of classes; 0 is an unconditional model. Default: ${DEFAULT-VALUE}.")
    private int numClasses = 1000;

    @Option(
            names = "--train-images",
            converter = Ranges.Positive.class,
            paramLabel = "N",
            description =
                    "Also what it takes to train on so many images, forward and backward: 3 x Gflops x N, as the paper counts."
                            + " 400,000 steps of 256 are 102400000.")
    private Double trainImages;

    @Option(
            names = "--num-sampling-steps",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description =
                    "Also what it takes to draw one picture: Gflops x N, twice that with guidance (--cfg-scale); without"
                            + " decoding.")
    private Integer samplingSteps;

    @Option(
            names = "--cfg-scale",
            converter = Ranges.NotNegative.class,
            paramLabel = "SCALE",
            description = "Of --num-sampling-steps; 1 is no guidance. Default: 1, as the paper counts.")
    private double cfgScale = 1;

    @Option(
            names = "--verbose",
            description = "Also each layer: how many, parameters and Gflops of one, its share of all.")
    private boolean verbose;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** Forward and backward pass over a forward pass. */
    static final int TRAINING_PASSES = 3;

    /** A model; what was not asked for is null. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Row(
            String model,
            String block,
            long parameters,
            double gflops,
            int tokens,
            Double trainingGflops,
            Double samplingGflops,
            List<LayerCost> layers) {}

    @Override
    public Integer call() throws JsonProcessingException {
        if (cfgScale != 1 && samplingSteps == null)
            throw new IllegalArgumentException("--cfg-scale is of sampling; add --num-sampling-steps N");
        List<Row> rows = rows();
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(Map.of("models", rows)));
        else print(rows, out);
        out.flush();
        return ExitCode.DONE.code;
    }

    private void print(List<Row> rows, PrintWriter out) {
        out.printf("%-9s  %-15s  %12s  %8s  %6s", "model", "block", "parameters", "gflops", "tokens");
        if (trainImages != null) out.printf("  %15s", "training gflops");
        if (samplingSteps != null) out.printf("  %15s", "sampling gflops");
        out.println();
        for (Row row : rows) {
            out.printf(
                    Locale.ROOT,
                    "%-9s  %-15s  %12d  %8.2f  %6d",
                    row.model,
                    row.block,
                    row.parameters,
                    row.gflops,
                    row.tokens);
            if (trainImages != null) out.printf(Locale.ROOT, "  %15.3g", row.trainingGflops);
            if (samplingSteps != null) out.printf(Locale.ROOT, "  %15.1f", row.samplingGflops);
            out.println();
            if (verbose) print(row, out);
        }
    }

    private static void print(Row row, PrintWriter out) {
        out.printf("    %-30s  %5s  %12s  %10s  %6s%n", "layer", "count", "parameters", "gflops", "share");
        for (LayerCost layer : row.layers)
            out.printf(
                    Locale.ROOT,
                    "    %-30s  %5d  %12d  %10.5f  %5.1f%%%n",
                    layer.name(),
                    layer.count(),
                    layer.parameters(),
                    layer.operations() / 1e9,
                    layer.count() * layer.operations() / 1e7 / row.gflops);
    }

    private List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (String name : model == null ? DiTConfig.names() : List.of(model))
            for (DiTBlock.Kind kind : block == null ? Arrays.asList(DiTBlock.Kind.values()) : List.of(block)) {
                DiTConfig config = config(name).withBlock(kind);
                double gflops = config.gflops();
                rows.add(new Row(
                        name,
                        Names.flag(kind),
                        config.parameters(),
                        gflops,
                        config.tokens(),
                        trainImages == null ? null : TRAINING_PASSES * gflops * trainImages,
                        samplingSteps == null ? null : (cfgScale == 1 ? 1 : 2) * gflops * samplingSteps,
                        verbose ? config.layers() : null));
            }
        return rows;
    }

    private DiTConfig config(String name) {
        boolean latent = !vae.equals("none");
        if (latent && imageSize % VAE_FACTOR != 0)
            throw new IllegalArgumentException("image size " + imageSize + " is not a multiple of " + VAE_FACTOR
                    + ", which an autoencoder needs; use --vae none for a model on pixels");
        int size = latent ? imageSize / VAE_FACTOR : imageSize;
        DiTConfig config = DiTConfig.of(name);
        return config.withInputSize(size, size)
                .withInChannels(latent ? VAE_CHANNELS : 3)
                .withClasses(numClasses, config.labelDropout());
    }
}
