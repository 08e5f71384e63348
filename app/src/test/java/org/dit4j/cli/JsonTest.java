package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.VaeCheckpoint;
import org.dit4j.model.DiTConfig;
import org.dit4j.report.Estimate;
import org.dit4j.run.RunPlan;
import org.dit4j.torch.Backend;
import org.dit4j.train.TrainConfig;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentScaling;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every command that reports prints exactly one JSON object, with the keys that {@code docs/command-line.md} promises. */
class JsonTest {
    @TempDir
    static Path folder;

    private static Path run, vae, idx;

    @BeforeAll
    static void makeFiles() throws IOException {
        run = TinyRun.train(folder.resolve("results"), "--sample-every=0");
        idx = TestFiles.idx(folder.resolve("idx"), 8, 8, 8, 2);
        vae = folder.resolve("vae");
        torch.manual_seed(1);
        try (AutoencoderKl codec = new AutoencoderKlConfig(
                        3, 3, 4, List.of(4, 8), 1, 2, 8, false, true, true, LatentScaling.STABLE_DIFFUSION)
                .network()) {
            VaeCheckpoint.write(vae, codec);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "train --results-dir=$ --sample-every=0 | run,steps,loss,checkpoint,sample",
                "train --results-dir=$ --dry-run | data,validation,model,parameters,begins,config,estimate",
                "demo --results-dir=$ --rows=1 --sample-every=0 | run,steps,loss,checkpoint,sample,grid,columns,curves",
                "sample --ckpt=$RUN --out=$ --class=star --num-sampling-steps=ddim2 --device=cpu | grid,pictures,parameters",
                "sample --ckpt=$RUN --out=$ --num-samples=3 --num-sampling-steps=ddim2 --device=cpu | folder,npz,samples,parameters",
                "encode --data-path=$IDX --image-size=8 --vae=$VAE --out=$ --device=cpu | latents,images,classes,channels,height,width,broken",
                "inspect $RUN | guess,format,model,profile,classes,weights,files,numel,metadata,tensors",
                "convert $RUN $.safetensors | written,format,model,parameters",
                "verify $RUN |",
                "info --model=DiT-S/8 | models",
                "runs --results-dir=$RESULTS | runs",
                "bench --model=DiT-S/8 --batch=1 --iters=1 --repeats=1 --device=cpu | mode,model,batch,precision,device,ms,spread,images_per_s",
                "doctor --results-dir=$ | works,checks,seconds",
            })
    void eachReportIsOneObject(String command, String keys, @TempDir Path out) throws IOException {
        String filled = command.replace("$RUN", run.toString())
                .replace("$RESULTS", folder.resolve("results").toString())
                .replace("$IDX", idx.toString())
                .replace("$VAE", vae.toString())
                .replace("$", out.resolve("out").toString());
        List<String> words = new ArrayList<>(List.of(filled.split(" ")));
        words.add("--json");
        boolean trains = words.get(0).equals("train") || words.get(0).equals("demo");
        String[] arguments = trains
                ? TinyRun.flags(words.get(0), words.subList(1, words.size()).toArray(String[]::new))
                : words.toArray(String[]::new);
        CommandRun run = CommandRun.of(arguments);
        assertEquals(0, run.exitCode(), run.err());
        JsonNode object = only(run.out());
        List<String> present = new ArrayList<>();
        object.fieldNames().forEachRemaining(present::add);
        if (keys != null) assertEquals(List.of(keys.split(",")), present);
        else assertFalse(present.isEmpty());
    }

    private static JsonNode only(String text) throws IOException {
        try (JsonParser parser = new ObjectMapper().createParser(text)) {
            JsonNode object = parser.readValueAsTree();
            assertTrue(object.isObject(), text);
            assertEquals(null, parser.nextToken(), "more than one value: " + text);
            assertEquals(1, text.lines().count(), text);
            return object;
        }
    }

    @Test
    void aDryRunSaysWhereValuesAreFromWhatIsNeededAndLeavesNothing(@TempDir Path results) throws IOException {
        Path recipe = Files.writeString(results.resolve("r.yaml"), "learning-rate: 0.002\n");
        String[] flags = TinyRun.flags(
                "train", "--dry-run", "--json", "--config=" + recipe, "--results-dir=" + results.resolve("runs"));
        JsonNode object = only(CommandRun.of(flags).out());
        JsonNode config = object.path("config");
        assertEquals(0.002, config.path("learning-rate").path("value").asDouble());
        assertEquals(
                recipe + ":1:1", config.path("learning-rate").path("origin").asText());
        assertEquals("flag", config.path("depth").path("origin").asText());
        assertEquals("default", config.path("ema-decay").path("origin").asText());
        assertEquals(3, config.path("max-steps").path("value").asInt());
        assertEquals(4, config.path("cfg-scale").path("value").asDouble(), "what the default comes to");
        assertEquals("default", config.path("cfg-scale").path("origin").asText());
        JsonNode estimate = object.path("estimate");
        assertTrue(estimate.path("fits").asBoolean(), estimate.toString());
        double seconds = estimate.path("secondsPerStep").asDouble();
        assertTrue(seconds > 0);
        assertEquals(3, estimate.path("stepsLeft").asInt());
        assertEquals(3 * seconds, estimate.path("totalSeconds").asDouble(), 1e-9);
        assertTrue(estimate.path("measured").asText().matches("the median of \\d+ steps"), estimate.toString());
        assertFalse(Files.exists(results.resolve("runs")), "no folder is made");
    }

    @Test
    void aDryRunOfWhatDoesNotFitSaysWhatToDo(@TempDir Path results) throws IOException {
        // some 20 TB of weights and moments; even one block of it does not fit where tests run
        CommandRun run = CommandRun.of(TinyRun.flags(
                "train", "--dry-run", "--hidden-size=65536", "--depth=9", "--results-dir=" + results.resolve("runs")));
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(run.out().contains("# DOES NOT FIT: the weights and the optimiser alone need "), run.out());
        assertTrue(run.out().contains("# time: unknown, measured on nothing"), run.out());
    }

    @Test
    void aRunThatDoesNotFitIsWarnedOf() {
        assumeFalse(Backend.hasCuda()); // a card says so itself
        TrainConfig published = TrainConfig.published(DiTConfig.of("DiT-XL/2"));
        TrainConfig huge = published.withGlobalBatchSize(1 << 20);
        String warning = Estimate.memoryWarning(RunPlan.of(huge, 1)).orElseThrow();
        assertTrue(
                warning.matches("WARN this run needs .* of memory, .* are available, and the system may end it: .+"),
                warning);
        TrainConfig small = published.withModel(DiTConfig.of("DiT-S/8")).withGlobalBatchSize(1);
        assertEquals(Optional.empty(), Estimate.memoryWarning(RunPlan.of(small, 1)));
    }

    @Test
    void aMicroBatchThatDoesNotFitIsToldWhichWould(@TempDir Path results) throws IOException {
        // activations of some 6 TB; one image of it needs 100 MB
        CommandRun run = CommandRun.of(TinyRun.flags(
                "train",
                "--dry-run",
                "--image-size=64",
                "--patch-size=2",
                "--global-batch-size=65536",
                "--hidden-size=256",
                "--results-dir=" + results.resolve("runs")));
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(
                run.out().matches("(?s).*# DOES NOT FIT: take --micro-batch-size \\d+, which trains the same.*"),
                run.out());
        assertTrue(run.out().contains("(extrapolated from steps of all blocks with up to "), run.out());
    }
}
