package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
