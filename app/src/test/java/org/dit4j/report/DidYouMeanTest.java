package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DidYouMeanTest {
    private static final List<String> MODELS = List.of("DiT-XL/2", "DiT-XL/4", "DiT-L/2", "DiT-B/2", "DiT-S/2");

    @ParameterizedTest
    @CsvSource({"DiT-XL2, DiT-XL/2", "dit-s/2, DiT-S/2", "DTi-B/2, DiT-B/2", "DiT-XL/5, DiT-XL/2", "DiTXL/4, DiT-XL/4"})
    void findsTheNameThatWasMeant(String given, String meant) {
        assertEquals("; did you mean " + meant + "?", DidYouMean.hint(given, MODELS));
    }

    @ParameterizedTest
    @CsvSource({
        "--batch-size, --global-batch-size",
        "--max_steps, --max-steps",
        "--steps, --max-steps",
        "seed, --global-seed",
        "depth, --depth",
        "--patch-sise, --patch-size"
    })
    void findsTheNameWhoseLastWordsWereGiven(String given, String meant) {
        List<String> flags = List.of(
                "--patch-size", "--global-batch-size", "--max-steps", "--global-seed", "--class-depth", "--depth");
        assertEquals("; did you mean " + meant + "?", DidYouMean.hint(given, flags));
    }

    @Test
    void saysNothingWhereNothingIsNear() {
        assertEquals("", DidYouMean.hint("unet", MODELS));
        assertEquals("", DidYouMean.hint("", MODELS));
        assertEquals("", DidYouMean.hint("DiT-S/2", List.of()));
    }

    @ParameterizedTest
    @CsvSource({
        "'', '', 0",
        "abc, '', 3",
        "abc, abc, 0",
        "abc, acb, 1",
        "abc, abxc, 1",
        "kitten, sitting, 3",
        "ca, abc, 3"
    })
    void distanceCountsInsertionsDeletionsReplacementsAndSwaps(String a, String b, int edits) {
        assertEquals(edits, DidYouMean.distance(a, b));
        assertEquals(edits, DidYouMean.distance(b, a));
    }
}
