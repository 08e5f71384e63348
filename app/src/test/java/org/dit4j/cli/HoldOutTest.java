package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs that are validated on data that they do not train on. */
class HoldOutTest {
    @TempDir
    private Path folder;

    private CommandRun train(String... more) {
        String[] flags = Stream.concat(
                        Stream.of("--results-dir=" + folder.resolve("results"), "--sample-every=0"), Stream.of(more))
                .toArray(String[]::new);
        return CommandRun.of(TinyRun.flags("train", flags));
    }

    private Path run(int number) throws IOException {
        try (Stream<Path> runs = Files.list(folder.resolve("results"))) {
            return runs.filter(Files::isDirectory).sorted().toList().get(number);
        }
    }

    private static List<JsonNode> validations(Path run) throws IOException {
        List<JsonNode> all = new ArrayList<>();
        for (String line : Files.readAllLines(run.resolve("validation.jsonl")))
            all.add(new ObjectMapper().readTree(line));
        return all;
    }

    @Test
    void heldOutDataAreValidatedOnByTimestep() throws IOException {
        CommandRun first = train("--hold-out=50", "--eval-every=2");
        assertEquals(0, first.exitCode(), first.err());
        assertTrue(first.err().contains("to validate on: 50 held out of glyphs: endless"), first.err());
        assertTrue(first.err().contains("Validation loss at step 2: "), first.err());
        List<JsonNode> validations = validations(run(0));
        assertEquals(
                List.of(2, 3),
                validations.stream().map(line -> line.get("step").asInt()).toList());
        for (JsonNode line : validations) {
            assertEquals(50, line.get("items").asInt());
            assertEquals(1000, line.get("timesteps").asInt());
            assertEquals(10, line.get("buckets").size());
            double mean = 0;
            for (JsonNode bucket : line.get("buckets")) mean += bucket.asDouble() / 10;
            assertEquals(mean, line.get("loss").asDouble(), 1e-9, "each tenth has as many draws");
        }
        CommandRun without = train("--resume=never");
        assertEquals(0, without.exitCode(), without.err());
        assertFalse(Files.exists(run(1).resolve("validation.jsonl")));
        assertEquals(metrics(run(1)), metrics(run(0)), "the training is the same");
    }

    private static List<String> metrics(Path run) throws IOException {
        return Files.readAllLines(run.resolve("metrics.jsonl")).stream()
                .map(line -> line.replaceFirst(",\"time\":.*", ""))
                .toList();
    }

    @Test
    void whatIsHeldOutIsPartOfWhatARunIs() throws IOException {
        Path idx = TestFiles.idx(folder.resolve("idx"), 40, 8, 8, 4);
        String data = "--data-path=" + idx;
        assertEquals(0, train(data, "--hold-out=10").exitCode());
        assertEquals(0, train(data).exitCode());
        CommandRun again = train(data, "--hold-out=10", "--max-steps=4");
        assertEquals(0, again.exitCode(), again.err());
        assertTrue(again.err().contains("goes on after step 3"), again.err());
        assertTrue(again.err().contains(": 40 images, 4 classes, 8×8 grey; 10 held out by seed 0"), again.err());
        try (Stream<Path> runs = Files.list(folder.resolve("results"))) {
            assertEquals(2, runs.filter(Files::isDirectory).count());
        }
        assertTrue(Files.readString(run(0).resolve("log.txt")).contains("Dataset contains 30 images ("));
        CommandRun epochs = train(data, "--hold-out=10", "--epochs=2", "--max-steps=999", "--dry-run");
        assertTrue(epochs.out().contains("hold-out: 10"), epochs.out());
    }

    @Test
    void theTestPicturesOfAnIdxFolderAreValidatedOn() throws IOException {
        Path idx = TestFiles.idx(folder.resolve("idx"), 8, 8, 8, 4);
        Path test = TestFiles.idx(folder.resolve("test"), 12, 8, 8, 4);
        Files.move(test.resolve("train-images-idx3-ubyte"), idx.resolve("t10k-images-idx3-ubyte"));
        Files.move(test.resolve("train-labels-idx1-ubyte"), idx.resolve("t10k-labels-idx1-ubyte"));
        CommandRun byDefault = train("--data-path=" + idx);
        assertEquals(0, byDefault.exitCode(), byDefault.err());
        assertEquals(12, validations(run(0)).get(0).get("items").asInt());
        CommandRun named = train(
                "--resume=never",
                "--data-path=" + idx.resolve("train-images-idx3-ubyte"),
                "--validation-path=" + idx.resolve("t10k-images-idx3-ubyte"));
        assertEquals(0, named.exitCode(), named.err());
        assertEquals(
                validations(run(0)).get(1).get("buckets"),
                validations(run(1)).get(1).get("buckets"),
                "the same data");
    }

    @Test
    void automaticValidationComesWithTheFirstLogAndAtTheEnd() throws IOException {
        CommandRun run = train("--hold-out=20", "--max-steps=4", "--log-every=2");
        assertEquals(0, run.exitCode(), run.err());
        List<Integer> steps = validations(run(0)).stream()
                .map(line -> line.get("step").asInt())
                .toList();
        assertEquals(List.of(2, 4), steps);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--hold-out=0|--hold-out|\"0\" is not a whole number of at least 1",
                "--eval-every=often|--eval-every|\"often\" is not a whole number of at least 0, or auto",
                "--hold-out=3 --validation-path=x|items to hold out, and other data to validate on (x)|validate on one of them",
                "--hold-out=8 --data-path=IDX|cannot hold out 8 of 8 items|fewer than there are",
                "--validation-path=glyphs|glyphs are endless|hold some of them out",
                "--validation-path=IDX|the data are 1×8×8|the model takes 3×32×32",
                "--hold-out=3 --on-broken=skip --data-path=IDX|cannot hold items out and skip broken pictures|give other data to validate on",
            })
    void whatCannotBeHeldOutIsRefused(String flags, String what, String cure) throws IOException {
        Path idx = TestFiles.idx(folder.resolve("idx"), 8, 8, 8, 4);
        CommandRun run = train(flags.replace("IDX", idx.toString()).split(" "));
        assertEquals(2, run.exitCode(), run.err());
        assertTrue(run.err().contains(what) && run.err().contains(cure), run.err());
        assertTrue(run.err().lines().filter(line -> !line.isBlank()).count() <= 5, run.err());
    }
}
