package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.io.Images;
import org.dit4j.report.Fonts;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run shows of itself: events for TensorBoard, curves, a model card. */
class BoardTest {
    @TempDir
    private Path results;

    private CommandRun first;
    private Path run;

    @BeforeEach
    void train() {
        first = train("--sample-every=2", "--histograms", "--hold-out=8");
        run = results.resolve("000-DiT-16x1-4");
    }

    private CommandRun train(String... flags) {
        List<String> all = new ArrayList<>(List.of("--results-dir=" + results));
        all.addAll(List.of(flags));
        CommandRun command = CommandRun.of(TinyRun.flags("train", all.toArray(String[]::new)));
        assertEquals(0, command.exitCode(), command.err());
        return command;
    }

    private List<Path> eventFiles() throws IOException {
        try (Stream<Path> entries = Files.list(run)) {
            return entries.filter(path -> path.getFileName().toString().startsWith("events.out.tfevents."))
                    .sorted()
                    .toList();
        }
    }

    /** The records of an event file, each byte as a character. */
    private static List<String> records(Path file) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<String> records = new ArrayList<>();
        while (buffer.hasRemaining()) {
            byte[] record = new byte[(int) buffer.getLong()];
            buffer.getInt();
            buffer.get(record).getInt();
            records.add(latin(record));
        }
        return records;
    }

    private static String latin(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    /** The event of a session that starts at a step below 128. */
    private static String start(int step) {
        return "\u0010" + (char) step + "\u003a\u0002\u0008\u0001";
    }

    private static long count(List<String> records, String text) {
        return records.stream().filter(record -> record.contains(text)).count();
    }

    @Test
    void tensorBoardGetsEachLogValidationAndGrid() throws IOException {
        List<String> records = records(eventFiles().get(0));
        assertTrue(records.get(0).contains("brain.Event:2"));
        assertTrue(records.get(1).endsWith(start(1)));
        assertTrue(records.get(2).contains("configuration") && records.get(2).contains("max-steps: 3"));
        for (String tag : List.of("train/loss", "train/gradient_norm", "train/learning_rate", "train/spike"))
            assertEquals(3, count(records, tag), tag);
        for (String tag : List.of("weights/blocks.0", "gradients/final_layer", "ema/x_embedder"))
            assertEquals(1, count(records, tag), tag + " with the first of ten logs");
        assertTrue(count(records, "validation_by_timestep/900-999") > 0);
        for (String grid : List.of("step-0000002.png", "step-0000003.png"))
            assertEquals(
                    1,
                    count(
                            records,
                            latin(Files.readAllBytes(run.resolve("samples").resolve(grid)))),
                    grid);
    }

    @Test
    void aRunThatGoesOnMakesTensorBoardForgetWhatIsBehindItsCheckpoint() throws IOException {
        train("--sample-every=2", "--hold-out=8", "--max-steps=5");
        List<Path> files = eventFiles();
        assertEquals(2, files.size());
        List<String> records = records(files.get(1));
        assertTrue(records.get(1).endsWith(start(4)));
        assertEquals(2, count(records, "train/loss"));
        assertEquals(0, count(records, "weights/"), "no histograms unless asked for");
        train("--sample-every=2", "--hold-out=8", "--max-steps=5");
        assertEquals(files, eventFiles(), "a run that is done leaves no empty file");
    }

    @Test
    void theModelCardSaysWhatItIsHowFarItIsAndHowToUseIt() throws IOException {
        String card = Files.readString(run.resolve("README.md"));
        assertTrue(card.startsWith("---\nlibrary_name: dit4j\n"), card);
        assertTrue(card.contains("| steps | 3 of 3 |"), card);
        assertTrue(card.contains("| images trained | 12 |"), card);
        assertTrue(card.contains("](samples/step-0000003.png)"), card);
        assertTrue(card.contains("on 8 items that were not trained on, after step 3"), card);
        assertTrue(card.contains("Classes: circle, square, "), card);
        assertTrue(card.contains("DiTPipeline.open(Path.of(\"" + run + "\"))"), card);
        String sample = first.out().strip();
        assertTrue(card.contains("    " + sample + "\n"), card);
        List<String> words = new ArrayList<>(Arrays.asList(sample.split(" ")));
        words.set(0, "--debug");
        words.addAll(List.of("--class=star", "--out=" + results.resolve("out")));
        CommandRun drawn = CommandRun.of(words.toArray(String[]::new));
        assertEquals(0, drawn.exitCode(), drawn.err());
        String goOn = card.lines()
                .filter(line -> line.contains(" --resume "))
                .findFirst()
                .orElseThrow();
        words = new ArrayList<>(Arrays.asList(goOn.strip().split(" ")));
        words.set(0, "--debug");
        words.add("--max-steps=4");
        CommandRun longer = CommandRun.of(words.toArray(String[]::new));
        assertEquals(0, longer.exitCode(), longer.err());
        assertTrue(Files.readString(run.resolve("README.md")).contains("| steps | 4 of 4 |"));
    }

    @Test
    void whatCannotBeWrittenDoesNotEndTheRun() throws IOException {
        Files.delete(run.resolve("README.md"));
        Files.createDirectories(run.resolve("README.md/occupied"));
        CommandRun more = train("--sample-every=0", "--hold-out=8", "--max-steps=4");
        assertTrue(more.err().contains("No curves or model card at step 4: "), more.err());
    }

    @Test
    void aGridThatCannotBeWrittenEndsTheRunOrNotAsConfigured() throws IOException {
        Files.move(run.resolve("samples"), run.resolve("away"));
        Files.writeString(run.resolve("samples"), "no folder");
        CommandRun more = train("--sample-every=2", "--hold-out=8", "--max-steps=5");
        assertTrue(more.err().contains("No grid of samples at step 4: "), more.err());
        CommandRun stopped = CommandRun.of(TinyRun.flags(
                "train",
                "--results-dir=" + results,
                "--sample-every=2",
                "--hold-out=8",
                "--max-steps=7",
                "--on-save-failure=stop"));
        assertEquals(ExitCode.DATA.code, stopped.exitCode(), stopped.err());
    }

    @Test
    void curvesAreDrawnOfTheWholeHistory() throws IOException {
        if (!Fonts.available()) return;
        Path curves = run.resolve("curves.png");
        int height = Images.read(curves).getHeight();
        Files.delete(curves);
        train("--sample-every=0", "--eval-every=0", "--hold-out=8", "--max-steps=4");
        assertEquals(height, Images.read(curves).getHeight(), "validations of the process before are there too");
        assertFalse(Files.exists(run.resolve("loss.png")));
    }
}
