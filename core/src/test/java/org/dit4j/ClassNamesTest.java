package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClassNamesTest {
    private static final ClassNames ANIMALS =
            new ClassNames(List.of("tench, Tinca tinca", "cat", "catfish", "Golden Retriever", "goldfish"), 6);

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "5, 5",
        "' 3 ', 3",
        "tench, 0",
        "tinca TINCA, 0",
        "cat, 1", // a whole name, though another begins with it
        "catf, 2",
        "golden r, 3",
        "goldf, 4"
    })
    void aNumberANameASynonymOrABeginningIsUnderstood(String given, int label) {
        assertEquals(label, ANIMALS.label(given));
    }

    private static String refusal(ClassNames names, String given) {
        return assertThrows(IllegalArgumentException.class, () -> names.label(given))
                .getMessage();
    }

    @Test
    void whatIsNotUnderstoodIsSaidWithWhatIsKnown() {
        String known = "; known are [tench, Tinca tinca, cat, catfish, Golden Retriever, goldfish]";
        assertEquals("unknown class \"dog\"" + known, refusal(ANIMALS, "dog"));
        assertEquals("unknown class \"\"" + known, refusal(ANIMALS, ""));
        assertEquals("unknown class \"-1\"" + known, refusal(ANIMALS, "-1"));
        assertEquals("class 6 is outside 0 … 5" + known, refusal(ANIMALS, "6"));
        assertEquals(
                "class \"gold\" may be any of [Golden Retriever, goldfish]; give more of its name, or its number",
                refusal(ANIMALS, "gold"));
    }

    @Test
    void ofManyNamesOnlySomeAreShown() {
        ClassNames thousand = new ClassNames(
                IntStream.range(0, 1000).mapToObj(i -> "kind " + i).toList(), 1000);
        assertEquals(
                "unknown class \"dog\"; known are [kind 0, kind 1, kind 2, kind 3, kind 4, kind 5, kind 6, kind 7, kind 8,"
                        + " kind 9, kind 10, kind 11] and 988 more",
                refusal(thousand, "dog"));
    }

    @Test
    void modelsWithoutNamesOrWithoutClassesSaySo() {
        assertEquals(
                "unknown class \"cat\"; this model knows its classes by number, 0 … 9",
                refusal(new ClassNames(List.of(), 10), "cat"));
        assertEquals("unknown class \"cat\"; this model has no classes", refusal(new ClassNames(List.of(), 0), "cat"));
    }

    @Test
    void aLabelWithoutANameIsCalledByItsNumber() {
        assertEquals("goldfish", ANIMALS.name(4));
        assertEquals("5", ANIMALS.name(5));
    }
}
