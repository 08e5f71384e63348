package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.io.FormatException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RecipeTest {
    @TempDir
    Path folder;

    private Recipe read(String yaml) throws IOException {
        return Recipe.read(Files.writeString(folder.resolve("r.yaml"), yaml));
    }

    @Test
    void keepsTheTextAndThePlaceOfEachValue() throws IOException {
        Recipe recipe = read("# a comment\nmodel: DiT-S/2\n\"lr\":  1e-4\nclass: [0, 'sandal']\n");
        assertEquals(
                List.of("model", "lr", "class"), List.copyOf(recipe.entries().keySet()));
        assertEquals(List.of("DiT-S/2"), recipe.entries().get("model").values());
        assertEquals(List.of("1e-4"), recipe.entries().get("lr").values());
        assertEquals(List.of("0", "sandal"), recipe.entries().get("class").values());
        assertTrue(recipe.entries().get("model").key().toString().endsWith("r.yaml:2:1"));
        assertTrue(recipe.entries().get("lr").value().toString().endsWith("r.yaml:3:8"));
    }

    @ParameterizedTest
    @MethodSource
    void anEmptyFileIsAnEmptyRecipe(String yaml) throws IOException {
        assertEquals(0, read(yaml).entries().size());
    }

    static Stream<String> anEmptyFileIsAnEmptyRecipe() {
        return Stream.of("", "# nothing yet\n", "---\n", "{}");
    }

    @ParameterizedTest
    @MethodSource
    void saysWhereTheFileIsNoFlatMapping(String yaml, String place, String message) throws IOException {
        FormatException failure = assertThrows(FormatException.class, () -> read(yaml));
        assertEquals(folder.resolve("r.yaml") + ":" + place + ": " + message, failure.getMessage());
    }

    static Stream<Arguments> saysWhereTheFileIsNoFlatMapping() {
        String scalar = " is a number, a word or a quoted text here, nothing nested or aliased";
        return Stream.of(
                Arguments.of("- a\n- b\n", "1:1", "a recipe is lines of \"flag: value\", as in \"image-size: 32\""),
                Arguments.of("just words", "1:1", "a recipe is lines of \"flag: value\", as in \"image-size: 32\""),
                Arguments.of("train:\n  epochs: 3\n", "2:3", "the value of \"train\"" + scalar),
                Arguments.of("class: [[1]]\n", "1:9", "an item of a list" + scalar),
                Arguments.of("a: &x 1\nb: *x\n", "2:4", "the value of \"b\"" + scalar),
                Arguments.of("? [a]\n: 1\n", "1:3", "a key" + scalar),
                Arguments.of(
                        "epochs:\n",
                        "1:8",
                        "the value of \"epochs\" is missing; leave the line out to get the default"),
                Arguments.of(
                        "lr: null\n", "1:5", "the value of \"lr\" is missing; leave the line out to get the default"),
                Arguments.of("a: 1\nb: 2\na: 3\n", "3:1", "\"a\" stands here a second time, first on line 1"),
                Arguments.of("a: 1\n---\nb: 2\n", "2:1", "a recipe is one YAML document"));
    }

    @ParameterizedTest
    @MethodSource("brokenYaml")
    void saysWhereTheFileIsNoYaml(String yaml, String place) {
        FormatException failure = assertThrows(FormatException.class, () -> read(yaml));
        assertTrue(
                failure.getMessage().startsWith(folder.resolve("r.yaml") + ":" + place + ": not YAML: "),
                failure.getMessage());
    }

    static Stream<Arguments> brokenYaml() {
        return Stream.of(
                Arguments.of("model: [a, b\n", "2:1"),
                Arguments.of("model: \"a\n", "2:1"),
                Arguments.of("a: 1\n\tb: 2\n", "2:1"),
                Arguments.of("a: b: c\n", "1:5"));
    }

    @Test
    void aHostileFileIsRefusedQuickly() throws IOException {
        assertThrows(FormatException.class, () -> read("a: " + "[".repeat(500_000)));
        assertThrows(FormatException.class, () -> read("#".repeat((1 << 20) + 1)));
        Files.write(folder.resolve("binary.yaml"), new byte[] {(byte) 0xff, (byte) 0xfe, 0, 1});
        assertThrows(FormatException.class, () -> Recipe.read(folder.resolve("binary.yaml")));
        assertThrows(FormatException.class, () -> read("a: \u0000"));
    }

    @Test
    void aFileThatIsNotThereIsNamed() {
        Path none = folder.resolve("none.yaml");
        assertEquals(
                none.toString(),
                assertThrows(NoSuchFileException.class, () -> Recipe.read(none)).getFile());
        assertThrows(FormatException.class, () -> Recipe.read(folder));
    }
}
