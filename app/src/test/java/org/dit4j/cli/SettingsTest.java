package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.report.Recipe;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

class SettingsTest {
    enum Precision {
        FP32,
        BF16
    }

    @Command(name = "example")
    static class Example {
        @Option(names = "--config")
        Path config;

        @Option(names = "--model")
        String model = "DiT-S/2";

        @Option(
                names = {"--global-batch-size", "--batch"},
                converter = Ranges.Count.class)
        int globalBatchSize = 64;

        @Option(names = "--lr", converter = Ranges.Positive.class)
        double learningRate = 1e-4;

        @Option(names = "--precision")
        Precision precision = Precision.FP32;

        @Option(names = "--class")
        List<String> classes = List.of();

        @Option(names = "--flip", negatable = true)
        boolean flip;

        @Option(names = "--vae")
        String vae;
    }

    @TempDir
    Path folder;

    private final Example example = new Example();

    private Settings resolve(String yaml, String... flags) throws IOException {
        CommandLine command = new CommandLine(example).setCaseInsensitiveEnumValuesAllowed(true);
        command.parseArgs(flags);
        return Settings.resolve(
                command.getCommandSpec(),
                yaml == null ? Recipe.NONE : Recipe.read(Files.writeString(folder.resolve("r.yaml"), yaml)));
    }

    @Test
    void flagsAreOverTheRecipeAndTheRecipeIsOverTheDefaults() throws IOException {
        Settings settings = resolve(
                "model: DiT-B/4\nbatch: 8\nlr: 2e-4\nflip: true\nclass: [1, two]\nprecision: bf16\n",
                "--model",
                "DiT-L/2",
                "--precision=fp32");
        assertEquals("DiT-L/2", example.model);
        assertEquals(Precision.FP32, example.precision);
        assertEquals(8, example.globalBatchSize);
        assertEquals(2e-4, example.learningRate);
        assertTrue(example.flip);
        assertEquals(List.of("1", "two"), example.classes);
        assertEquals("flag", settings.origin("model"));
        assertEquals(folder.resolve("r.yaml") + ":2:1", settings.origin("global-batch-size"));
        assertEquals("default", settings.origin("vae"));
    }

    @Test
    void withoutARecipeAllIsFlagOrDefault() throws IOException {
        Settings settings = resolve(null, "--batch", "2");
        assertEquals("flag", settings.origin("global-batch-size"));
        assertEquals("default", settings.origin("lr"));
    }

    @Test
    void whatItPrintsIsARecipeOfTheSameConfiguration() throws IOException {
        String printed = resolve("class: ['a: b', \"say \\\"no\\\"\", 'null']\nlr: 3e-4\n", "--vae", "#1")
                .toYaml();
        Example again = new Example();
        CommandLine command = new CommandLine(again);
        command.parseArgs();
        Settings.resolve(
                command.getCommandSpec(), Recipe.read(Files.writeString(folder.resolve("again.yaml"), printed)));
        assertEquals(List.of("a: b", "say \"no\"", "null"), again.classes);
        assertEquals(3e-4, again.learningRate);
        assertEquals("#1", again.vae);
        assertEquals(example.model, again.model);
    }

    @ParameterizedTest
    @MethodSource
    void saysWhatIsWrongAndWhere(String yaml, String message) {
        Failure failure = assertThrows(Failure.class, () -> resolve(yaml));
        assertEquals(ExitCode.USAGE, failure.exitCode);
        assertEquals(folder.resolve("r.yaml") + ":" + message, failure.getMessage());
    }

    static Stream<Arguments> saysWhatIsWrongAndWhere() {
        return Stream.of(
                Arguments.of("modle: x\n", "1:1: unknown key \"modle\"; did you mean model?"),
                Arguments.of("config: x\n", "1:1: unknown key \"config\""),
                Arguments.of("\nlr: fast\n", "2:5: lr: \"fast\" is not a number above 0"),
                Arguments.of("lr: -1\n", "1:5: lr: \"-1\" is not a number above 0"),
                Arguments.of("lr: .nan\n", "1:5: lr: \".nan\" is not a number above 0"),
                Arguments.of("batch: 0\n", "1:8: global-batch-size: \"0\" is not a whole number of at least 1"),
                Arguments.of("batch: 1.5\n", "1:8: global-batch-size: \"1.5\" is not a whole number of at least 1"),
                Arguments.of("batch: [1, 2]\n", "1:8: global-batch-size takes one value, not a list"),
                Arguments.of("flip: maybe\n", "1:7: flip: \"maybe\" is not true or false"),
                Arguments.of(
                        "precision: bf61\n",
                        "1:12: precision: unknown value \"bf61\"; one of [FP32, BF16]; did you mean BF16?"));
    }

    @Test
    void twoNamesOfOneFlagAreOneTooMany() {
        Failure failure = assertThrows(Failure.class, () -> resolve("batch: 1\nglobal-batch-size: 2\n"));
        assertTrue(failure.getMessage().contains(":2:1: \"global-batch-size\" and the key at "));
    }
}
