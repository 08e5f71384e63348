package org.dit4j.cli;

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
                    + " element of a LayerNorm."
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

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** One line of the table. */
    record Row(String model, String block, long parameters, double gflops, int tokens) {}

    @Override
    public Integer call() throws JsonProcessingException {
        List<Row> rows = rows();
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(Map.of("models", rows)));
        else {
            out.printf("%-9s  %-15s  %12s  %8s  %6s%n", "model", "block", "parameters", "gflops", "tokens");
            for (Row row : rows)
                out.printf(
                        Locale.ROOT,
                        "%-9s  %-15s  %12d  %8.2f  %6d%n",
                        row.model,
                        row.block,
                        row.parameters,
                        row.gflops,
                        row.tokens);
        }
        out.flush();
        return ExitCode.DONE.code;
    }

    private List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (String name : model == null ? DiTConfig.names() : List.of(model))
            for (DiTBlock.Kind kind : block == null ? Arrays.asList(DiTBlock.Kind.values()) : List.of(block)) {
                DiTConfig config = config(name).withBlock(kind);
                rows.add(new Row(name, Names.flag(kind), config.parameters(), config.gflops(), config.tokens()));
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
