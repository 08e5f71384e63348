package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.dit4j.io.Images;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainAndSampleTest {
    @TempDir
    static Path results;

    static Path run;

    @TempDir
    Path folder;

    @BeforeAll
    static void train() throws IOException {
        run = TinyRun.train(results, "--sample-every=2");
    }

    /** By two steps of DDIM, where {@code more} does not say otherwise. */
    private CommandRun sample(Path checkpoint, String... more) {
        List<String> flags =
                new ArrayList<>(List.of("sample", "--ckpt=" + checkpoint, "--out=" + folder.resolve("out")));
        for (String flag : List.of("--num-sampling-steps=ddim2", "--sampler=ddim"))
            if (Stream.of(more).noneMatch(given -> given.startsWith(flag.substring(0, flag.indexOf('=')))))
                flags.add(flag);
        flags.addAll(List.of(more));
        return CommandRun.of(flags.toArray(String[]::new));
    }

    @Test
    void aRunLeavesItsConfigurationLogCheckpointGridsAndCurve() throws IOException {
        assertEquals("000-DiT-16x1-4", run.getFileName().toString());
        for (String file : List.of(
                "config.yaml",
                "log.txt",
                "curves.png",
                "README.md",
                "checkpoints/LATEST",
                "checkpoints/step-0000003/ema.safetensors",
                "samples/step-0000002.png",
                "samples/step-0000003.png")) assertTrue(Files.isRegularFile(run.resolve(file)), file);
        assertEquals(
                3,
                Files.readString(run.resolve("log.txt"))
                        .lines()
                        .filter(line -> line.matches(".*\\(step=000000[123]\\) Train Loss: \\d\\.\\d{4}, .*"))
                        .count());
        BufferedImage grid = Images.read(run.resolve("samples/step-0000003.png"));
        assertEquals(2 + 10 * (96 + 2), grid.getWidth());
        assertTrue(Images.readPngText(run.resolve("samples/step-0000003.png"))
                .get("Checkpoint")
                .endsWith("step 3"));
    }

    @Test
    void theConfigurationThatARunLeavesIsARecipeOfTheSameRun() throws IOException {
        CommandRun again =
                CommandRun.of("train", "--config", run.resolve("config.yaml").toString(), "--dry-run");
        assertEquals(0, again.exitCode(), again.err());
        assertEquals(values(Files.readString(run.resolve("config.yaml"))), values(again.out()));
    }

    @Test
    void everyChoiceIsPrintedAsARecipeTakesIt() throws IOException {
        CommandRun first = CommandRun.of(TinyRun.flags(
                "train",
                "--noise-schedule=cosine",
                "--prediction=x0",
                "--no-learn-sigma",
                "--block=in-context",
                "--precision=autocast",
                "--sampler=ddim",
                "--model=DiT-S/8",
                "--flip",
                "--dry-run"));
        assertEquals(0, first.exitCode(), first.err());
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), first.out());
        CommandRun second = CommandRun.of("train", "--config", recipe.toString(), "--dry-run");
        assertEquals(0, second.exitCode(), second.err());
        assertEquals(values(first.out()), values(second.out()));
        assertTrue(values(first.out())
                .containsAll(List.of("noise-schedule: cosine", "learn-sigma: false", "block: in-context")));
    }

    @Test
    void theRecipesOfTheProjectAreValid() throws IOException {
        Path idx = TestFiles.idx(folder.resolve("idx"), 64, 28, 28, 10);
        CommandRun fashion = CommandRun.of(
                "train",
                "--config=../recipes/fashion-mnist.yaml",
                "--data-path=" + idx,
                "--dry-run",
                "--global-batch-size=4",
                "--depth=1");
        assertEquals(0, fashion.exitCode(), fashion.err());
        CommandRun glyphs = CommandRun.of(
                "train", "--config=../recipes/glyphs.yaml", "--dry-run", "--global-batch-size=4", "--depth=1");
        assertEquals(0, glyphs.exitCode(), glyphs.err());
    }

    /** Without the comments that say where each value is from. */
    private static List<String> values(String yaml) {
        return yaml.lines()
                .filter(line -> !line.startsWith("#"))
                .map(line -> line.replaceFirst(" +#.*", ""))
                .toList();
    }

    @Test
    void theSameCommandTrainsTheSameWeights() throws IOException {
        Path again = TinyRun.train(folder, "--sample-every=0", "--num-workers=2");
        String weights = "checkpoints/step-0000003/ema.safetensors";
        assertArrayEquals(Files.readAllBytes(run.resolve(weights)), Files.readAllBytes(again.resolve(weights)));
        Path other = TinyRun.train(folder, "--sample-every=0", "--global-seed=1");
        assertFalse(
                Arrays.equals(Files.readAllBytes(run.resolve(weights)), Files.readAllBytes(other.resolve(weights))));
    }

    @Test
    void aDryRunPrintsWhereEachValueIsFromAndLeavesNothing() throws IOException {
        CommandRun dry = CommandRun.of(TinyRun.flags("train", "--dry-run", "--results-dir=" + folder.resolve("none")));
        assertEquals(0, dry.exitCode(), dry.err());
        List<String> lines =
                dry.out().lines().map(line -> line.replaceAll(" +", " ")).toList();
        assertTrue(lines.contains("hidden-size: 16 # flag"), dry.out());
        assertTrue(lines.contains("learning-rate: 1.0E-4 # default"), dry.out());
        assertTrue(lines.contains("num-classes: 10 # data"), dry.out());
        assertFalse(Files.exists(folder.resolve("none")));
    }

    @Test
    void picturesSayHowTheyWereDrawn() throws IOException {
        CommandRun drawn = sample(run, "--class", "star,0", "--class=MOO", "--seed", "7", "--cfg-scale", "2");
        assertEquals(0, drawn.exitCode(), drawn.err());
        List<Path> files = drawn.out().lines().map(Path::of).toList();
        assertEquals(
                List.of("grid.png", "000-star.png", "001-circle.png", "002-moon.png"),
                files.stream().map(file -> file.getFileName().toString()).toList());
        Map<String, String> text = Images.readPngText(files.get(3));
        assertEquals("moon", text.get("Class"));
        assertEquals("7", text.get("Label"));
        assertEquals("2", text.get("Picture"));
        assertEquals("7", text.get("Seed"));
        assertEquals("ddim2", text.get("Steps"));
        assertEquals("ddim, eta 0.0", text.get("Sampler"));
        assertEquals("2.0", text.get("Guidance"));
        assertEquals("3,0,7", text.get("Classes"));
        assertEquals(run.toString(), text.get("Checkpoint"));
        assertTrue(text.get("Software").startsWith("dit4j "));
        assertTrue(text.get("Weights").contains("after 3 steps"));
        assertEquals(96, Images.read(files.get(1)).getWidth(), "32 pixels, enlarged until they can be seen");
    }

    @Test
    void theSeedDecidesAndTheFormOfTheCheckpointDoesNot() throws IOException {
        byte[] picture = pixels(sample(run, "--class=star"));
        Path checkpoint = run.resolve("checkpoints/step-0000003");
        assertArrayEquals(picture, pixels(sample(checkpoint, "--class=3")));
        assertArrayEquals(picture, pixels(sample(checkpoint.resolve("ema.safetensors"), "--class=3")));
        assertFalse(Arrays.equals(picture, pixels(sample(run, "--class=star", "--seed=1"))));
    }

    @Test
    void aCheckpointOfAnotherRunThatSomebodyCopiedIsDrawnFromWithAWarning() throws IOException {
        Path results = folder.resolve("results");
        Path own = TinyRun.train(results, "--sample-every=0"),
                other = TinyRun.train(results, "--sample-every=0", "--global-seed=5", "--max-steps=4");
        assertFalse(sample(own, "--class=star").err().contains("another run"));
        Path from = other.resolve("checkpoints/step-0000004"), to = own.resolve("checkpoints/step-0000004");
        Files.createDirectory(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList())
                Files.copy(file, to.resolve(file.getFileName().toString()));
        }
        for (Path path : List.of(own, own.resolve("checkpoints"))) {
            CommandRun drawn = sample(path, "--class=star");
            assertEquals(0, drawn.exitCode(), drawn.err());
            assertTrue(drawn.err().contains("is of another run: seed: 5, was 0"), drawn.err());
        }
        CommandRun converted =
                CommandRun.of("convert", own.toString(), folder.resolve("m.pt").toString());
        assertTrue(converted.err().contains("is of another run: seed: 5, was 0"), converted.err());
        assertFalse(sample(to, "--class=star").err().contains("another run"), "it was asked for");
        CommandRun resumed = CommandRun.of(TinyRun.flags(
                "train",
                "--results-dir=" + results,
                "--sample-every=0",
                "--resume=" + own,
                "--max-steps=5",
                "--global-seed=5"));
        assertEquals(0, resumed.exitCode(), resumed.err());
        assertFalse(sample(own, "--class=star").err().contains("another run"), "the log has that change");
    }

    /** Of the first single picture. */
    private static byte[] pixels(CommandRun drawn) throws IOException {
        assertEquals(0, drawn.exitCode(), drawn.err());
        return Images.toRgbBytes(
                Images.read(Path.of(drawn.out().lines().skip(1).findFirst().orElseThrow())));
    }

    @Test
    void allClassesAreDrawnInColumnsByDefault() throws IOException {
        CommandRun drawn = sample(run, "--count=2", "--scale=1", "--json");
        assertEquals(0, drawn.exitCode(), drawn.err());
        JsonNode json = new ObjectMapper().readTree(drawn.out());
        assertEquals(20, json.get("pictures").size());
        assertEquals("circle", json.get("pictures").get(10).get("name").asText());
        assertEquals(0, json.get("pictures").get(10).get("label").asInt());
        assertEquals("0", json.get("parameters").get("Seed").asText());
        BufferedImage grid = Images.read(Path.of(json.get("grid").asText()));
        assertEquals(2 + 10 * (32 + 2), grid.getWidth());
    }

    @Test
    void everyChoiceOfGuidancePrecisionAndSamplerDraws() {
        for (String flags : List.of(
                "--sampler=ddpm --num-sampling-steps=3",
                "--eta=0.5",
                "--cfg-channels=all",
                "--cfg-interval=100,600",
                "--cfg-scale=1",
                "--precision=autocast",
                "--precision=BF16",
                "--columns=2 --count=3",
                "--image-size=32 --num-classes=10")) {
            CommandRun drawn = sample(run, (flags + " --class=heart").split(" "));
            assertEquals(0, drawn.exitCode(), flags + ": " + drawn.err());
        }
    }

    @Test
    void aModelWithoutClassesDrawsWithoutClassesAndGuidance() throws IOException {
        Path unconditional = TinyRun.train(folder.resolve("results"), "--num-classes=0", "--sample-every=3");
        CommandRun drawn = sample(unconditional, "--count=5");
        assertEquals(0, drawn.exitCode(), drawn.err());
        assertEquals(6, drawn.out().lines().count());
        assertTrue(drawn.out().contains("004.png"));
        CommandRun classed = sample(unconditional, "--class=star");
        assertEquals(2, classed.exitCode());
        assertEquals("dit: --class star: this model has no classes\n", classed.err());
        CommandRun guided = sample(unconditional, "--cfg-scale=2");
        assertEquals(2, guided.exitCode());
        assertEquals("dit: --cfg-scale 2.0: this model has no classes, so it cannot be guided; use 1\n", guided.err());
    }

    @Test
    void greyPicturesThatAreNotSquareAreTrainedOnAndDrawn() throws IOException {
        Path grey = TinyRun.train(
                folder.resolve("results"),
                "--data-path=" + TestFiles.idx(folder.resolve("idx"), 40, 28, 20, 3),
                "--class-names=zero,one,two",
                "--sample-every=0",
                "--max-steps=1");
        CommandRun drawn = sample(grey, "--class=one");
        assertEquals(0, drawn.exitCode(), drawn.err());
        BufferedImage picture =
                Images.read(Path.of(drawn.out().lines().skip(1).findFirst().orElseThrow()));
        assertEquals(5 * 20, picture.getWidth());
        assertEquals(5 * 28, picture.getHeight());
    }

    @Test
    void aFolderOfPicturesIsTrainedOn() throws IOException {
        Path photos = folder.resolve("photos");
        for (String name : List.of("cat", "dog"))
            TestFiles.picture(photos.resolve(name).resolve("1.png"), 40, 30);
        Path trained = TinyRun.train(
                folder.resolve("results"),
                "--data-path=" + photos,
                "--image-size=16",
                "--sample-every=0",
                "--epochs=2");
        assertTrue(Files.exists(trained.resolve("checkpoints/step-0000001")), "2 epochs of 2 pictures, by 4s");
        CommandRun drawn = sample(trained, "--class=dog");
        assertEquals(0, drawn.exitCode(), drawn.err());
    }

    @Test
    void theDemoDrawsACaptionedGrid() throws IOException {
        CommandRun demo = CommandRun.of(
                TinyRun.flags("demo", "--results-dir=" + folder, "--rows=2", "--sample-every=0", "--max-steps=2"));
        assertEquals(0, demo.exitCode(), demo.err());
        List<String> lines = demo.out().lines().toList();
        assertTrue(lines.get(0).startsWith("grid: "));
        BufferedImage grid = Images.read(Path.of(lines.get(0).substring("grid: ".length())));
        assertEquals(2 + 10 * (96 + 2), grid.getWidth());
        assertTrue(grid.getHeight() >= 2 + 2 * (96 + 2));
        assertTrue(lines.get(lines.size() - 1).startsWith("more: dit sample --ckpt " + folder), demo.out());
    }
}
