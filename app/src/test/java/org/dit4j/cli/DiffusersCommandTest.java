package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders of diffusers, and what they cannot hold, by the command line. */
class DiffusersCommandTest {
    @TempDir
    private static Path folder;

    private static Path run, pipeline, scheduler;

    @BeforeAll
    static void train() throws IOException {
        Path results = Files.createDirectory(folder.resolve("results"));
        run = TinyRun.train(
                results, "--prediction=x0", "--noise-schedule=cosine", "--no-learn-sigma", "--sample-every=0");
        pipeline = folder.resolve("pipeline");
        assertDone(CommandRun.of("convert", run.toString(), pipeline.toString()));
        scheduler = pipeline.resolve("scheduler/scheduler_config.json");
    }

    private static CommandRun assertDone(CommandRun run) {
        assertEquals(0, run.exitCode(), run.err());
        return run;
    }

    private CommandRun sample(Path from, Path out, String... more) {
        List<String> flags = new ArrayList<>(List.of("sample", "--ckpt=" + from, "--out=" + out, "--class=0,1"));
        Collections.addAll(flags, "--num-sampling-steps=3", "--seed=3", "--device=cpu", "--scale=1");
        Collections.addAll(flags, more);
        return CommandRun.of(flags.toArray(String[]::new));
    }

    private static int[] pixels(Path out) throws IOException {
        BufferedImage grid = ImageIO.read(out.resolve("grid.png").toFile());
        return grid.getRGB(0, 0, grid.getWidth(), grid.getHeight(), null, 0, grid.getWidth());
    }

    @Test
    void aPtFileDrawsThePicturesOfItsRunAndSaysWhatThePublishedScriptsDoNotKnow() throws IOException {
        Path pt = folder.resolve("model.pt");
        CommandRun converted = assertDone(CommandRun.of("convert", run.toString(), pt.toString()));
        assertTrue(converted.err().contains("\"squaredcos_cap_v2 1000 x0 fixed_small\""), converted.err());
        assertDone(sample(run, folder.resolve("of-run")));
        assertDone(sample(pt, folder.resolve("of-pt")));
        assertArrayEquals(pixels(folder.resolve("of-run")), pixels(folder.resolve("of-pt")));
    }

    @Test
    void anUnknownSchedulerNeedsASamplerWhereSomethingIsDrawnAndNothingElsewhere() throws IOException {
        String before = Files.readString(scheduler);
        Files.writeString(
                scheduler,
                before.replace(
                        "\"_class_name\" : \"DDIMScheduler\"",
                        "\"_class_name\" : \"DPMSolverMultistepScheduler\"," + " \"lambda_min_clipped\" : -Infinity"));
        Path file = folder.resolve("unknown.safetensors");
        assertEquals(
                "",
                assertDone(CommandRun.of("convert", pipeline.toString(), file.toString()))
                        .err());
        for (Path from : List.of(pipeline, file)) {
            CommandRun refused = sample(from, folder.resolve("none"));
            assertEquals(2, refused.exitCode());
            assertTrue(refused.err().contains("DPMSolverMultistepScheduler")
                    && refused.err().contains("--sampler"));
            CommandRun drawn = assertDone(sample(from, folder.resolve("named"), "--sampler=ddim"));
            assertTrue(drawn.err().contains("draws with ddim in place of diffusers' DPMSolverMultistepScheduler"));
            assertTrue(drawn.err().contains("squaredcos_cap_v2 1000 x0"), drawn.err());
        }
        CommandRun folders = assertDone(CommandRun.of(
                "convert", file.toString(), folder.resolve("again").toString()));
        assertTrue(folders.err().contains("DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)"));

        Files.writeString(scheduler, "{\"prediction_type\": ");
        CommandRun begun = assertDone(CommandRun.of(TinyRun.flags(
                "train",
                "--results-dir=" + folder.resolve("tuned"),
                "--init-from=" + pipeline,
                "--no-learn-sigma",
                "--sample-every=0",
                "--max-steps=1")));
        assertTrue(begun.err().contains("begins with the weights of " + pipeline), begun.err());
        CommandRun unclear = sample(pipeline, folder.resolve("none"), "--sampler=ddim");
        assertNotEquals(0, unclear.exitCode());
        assertTrue(unclear.err().contains("scheduler_config.json is not understood"), unclear.err());
        assertFalse(Files.exists(folder.resolve("none")));
        Files.writeString(scheduler, before);
    }

    @Test
    void itsOwnOptionsAndTorchsNoiseAreHeeded() throws IOException {
        String before = Files.readString(scheduler);
        assertDone(sample(pipeline, folder.resolve("leading"), "--sampler=ddim", "--noise=torch"));
        Files.writeString(scheduler, before.replace("\"leading\"", "\"trailing\""));
        assertDone(sample(pipeline, folder.resolve("trailing"), "--sampler=ddim", "--noise=torch"));
        assertDone(sample(pipeline, folder.resolve("index"), "--sampler=ddim"));
        Files.writeString(scheduler, before);
        assertFalse(Arrays.equals(pixels(folder.resolve("leading")), pixels(folder.resolve("trailing"))));
        assertFalse(Arrays.equals(pixels(folder.resolve("index")), pixels(folder.resolve("trailing"))));
        CommandRun many = sample(pipeline, folder.resolve("many"), "--noise=torch", "--count=33");
        assertTrue(many.exitCode() == 2 && many.err().contains("at most 64"), many.err());
    }
}
