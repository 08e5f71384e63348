package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InfoCommandTest {
    private static JsonNode models(String... args) throws IOException {
        CommandRun run = CommandRun.of(args);
        assertEquals(0, run.exitCode(), run.err());
        return new ObjectMapper().readTree(run.out()).get("models");
    }

    @Test
    void listsAllModelsInAllDesigns() throws IOException {
        assertEquals(48, models("info", "--json").size());
        assertEquals(49, CommandRun.of("info").out().lines().count());
    }

    /** Peebles and Xie (2023), figure 3 and table 4: parameters in millions and Gflops of DiT-XL/2 by block design. */
    @ParameterizedTest
    @CsvSource({
        "in-context, 449, 119.37",
        "cross-attention, 598, 137.62",
        "adaln, 600, 118.56",
        "adaln-zero, 675, 118.64"
    })
    void givesThePapersFigures(String block, long millions, double gflops) throws IOException {
        JsonNode model = models("info", "--json", "--model", "dit-xl/2", "--block", block)
                .get(0);
        assertEquals("DiT-XL/2", model.get("model").asText());
        assertEquals(block, model.get("block").asText());
        assertEquals(millions, model.get("parameters").asLong() / 1_000_000, "the paper cuts off, adaLN has 600.7M");
        assertEquals(gflops, model.get("gflops").asDouble(), 0.1);
        assertEquals(256, model.get("tokens").asInt());
    }

    /** Peebles and Xie (2023), table 4: all 16 rows. */
    @ParameterizedTest
    @CsvSource({
        "S/8, 256, adaln-zero, 0.36", "S/4, 256, adaln-zero, 1.41", "S/2, 256, adaln-zero, 6.06",
        "B/8, 256, adaln-zero, 1.42", "B/4, 256, adaln-zero, 5.56", "B/2, 256, adaln-zero, 23.01",
        "L/8, 256, adaln-zero, 5.01", "L/4, 256, adaln-zero, 19.70", "L/2, 256, adaln-zero, 80.71",
        "XL/8, 256, adaln-zero, 7.39", "XL/4, 256, adaln-zero, 29.05", "XL/2, 256, adaln-zero, 118.64",
        "XL/2, 256, in-context, 119.37", "XL/2, 256, cross-attention, 137.62", "XL/2, 256, adaln, 118.56",
        "XL/2, 512, adaln-zero, 524.60"
    })
    void givesTheGflopsOfAllRowsOfThePapersTable(String model, int pixels, String block, double gflops)
            throws IOException {
        JsonNode row = models("info", "--json", "--model=DiT-" + model, "--image-size=" + pixels, "--block=" + block)
                .get(0);
        assertEquals(gflops, row.get("gflops").asDouble(), 0.1);
    }

    /** Section 5 of the paper, and its figures 9 and 10: 3.6e10 Gflops to train XL/2 for 400K steps, 80.7 and 15.2 Tflops to sample. */
    @Test
    void computeOfTrainingAndSamplingIsThePapers() throws IOException {
        JsonNode trained = models(
                        "info", "--json", "--model=DiT-XL/2", "--block=adaln-zero", "--train-images=102400000")
                .get(0);
        assertEquals(3.6e10, trained.get("trainingGflops").asDouble(), 0.05e10);
        assertNull(trained.get("samplingGflops"));
        assertEquals(80_700, sampling("DiT-L/2", 1000, 1), 50);
        assertEquals(15_200, sampling("DiT-XL/2", 128, 1), 50);
        assertEquals(2 * sampling("DiT-XL/2", 128, 1), sampling("DiT-XL/2", 128, 1.5));
    }

    private static double sampling(String model, int steps, double scale) throws IOException {
        return models(
                        "info",
                        "--json",
                        "--model=" + model,
                        "--block=adaln-zero",
                        "--num-sampling-steps=" + steps,
                        "--cfg-scale=" + scale)
                .get(0)
                .get("samplingGflops")
                .asDouble();
    }

    @Test
    void theLayersAddUpToTheModel() throws IOException {
        for (JsonNode model : models("info", "--json", "--model=DiT-B/4", "--verbose")) {
            double operations = 0;
            long parameters = 0;
            for (JsonNode layer : model.get("layers")) {
                operations +=
                        layer.get("count").asInt() * layer.get("operations").asDouble();
                parameters +=
                        layer.get("count").asInt() * layer.get("parameters").asLong();
            }
            assertEquals(model.get("gflops").asDouble(), operations / 1e9, 1e-9);
            assertEquals(model.get("parameters").asLong(), parameters);
        }
        CommandRun printed = CommandRun.of("info", "--model=DiT-B/4", "--block=adaln-zero", "--verbose");
        assertTrue(
                printed.out()
                        .lines()
                        .anyMatch(line -> line.matches(" +blocks\\.N\\.attn\\.qkv +12 +1771776 +0\\.11325 +24\\.4%")),
                printed.out());
    }

    @Test
    void picturesOfAnotherSizeHaveOtherTokens() throws IOException {
        assertEquals(
                1024,
                models("info", "--json", "--model=DiT-S/2", "--image-size=512")
                        .get(0)
                        .get("tokens")
                        .asInt());
        assertEquals(
                64,
                models("info", "--json", "--model=DiT-S/4", "--image-size=32", "--vae=none", "--num-classes=0")
                        .get(0)
                        .get("tokens")
                        .asInt());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--model DiT-XL/3 | --model: unknown value \"DiT-XL/3\"; one of [DiT-S/8,",
                "--model DiT-XL/3 | did you mean DiT-XL/8?",
                "--block adaln0   | did you mean adaln?",
                "--image-size 12  | image size 12 is not a multiple of 8",
                "--image-size 24  | input height 3 is not a multiple of the patch size 8",
                "--image-size no  | --image-size: \"no\" is not a whole number of at least 1",
                "--num-clases 10  | unknown flag --num-clases; did you mean --num-classes?",
                "--cfg-scale 2    | --cfg-scale is of sampling; add --num-sampling-steps N",
                "more             | unexpected argument \"more\"",
            })
    void mistakesGetOneMessageAndExit2(String args, String message) {
        CommandRun run = CommandRun.of(("info " + args).split(" "));
        assertEquals(2, run.exitCode());
        assertEquals("", run.out());
        assertTrue(run.err().contains(message), run.err());
        assertTrue(run.err().lines().count() <= 5, run.err());
    }
}
