package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.VaeCheckpoint;
import org.dit4j.io.Images;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures are encoded, a model is trained on the latents, and draws pictures. */
class EncodeTest {
    private static final int SIDE = 16;

    @TempDir
    static Path folder;

    private static Path vae, otherVae, otherDecoder, latents;

    @BeforeAll
    static void encode() throws IOException {
        vae = vae("vae", 1);
        otherVae = vae("other", 2);
        otherDecoder = folder.resolve("decoder");
        try (AutoencoderKl codec = (AutoencoderKl) VaeCheckpoint.open(vae);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            StateDict.of(codec).get("decoder.conv_out.weight").mul_(new Scalar(3));
            VaeCheckpoint.write(otherDecoder, codec);
        }
        latents = folder.resolve("latents");
        CommandRun run = encode(TestFiles.idx(folder.resolve("idx"), 12, 8, 8, 3), latents);
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(
                run.out().contains("latents 4×8×8 of 12 pictures of 16×16, 3 classes, means and variances"), run.out());
    }

    private static CommandRun encode(Path data, Path out, String... more) {
        Stream<String> flags = Stream.of(
                "encode",
                "--data-path=" + data,
                "--image-size=" + SIDE,
                "--vae=" + vae,
                "--out=" + out,
                "--batch-size=4",
                "--device=cpu");
        return CommandRun.of(Stream.concat(flags, Stream.of(more)).toArray(String[]::new));
    }

    /** A small autoencoder with random weights, as a diffusers folder. */
    private static Path vae(String name, long seed) throws IOException {
        AutoencoderKlConfig config = new AutoencoderKlConfig(
                3, 3, 4, List.of(4, 8), 1, 2, SIDE, false, true, true, LatentScaling.STABLE_DIFFUSION);
        torch.manual_seed(seed);
        try (AutoencoderKl codec = config.network()) {
            VaeCheckpoint.write(folder.resolve(name), codec);
        }
        return folder.resolve(name);
    }

    private static CommandRun train(String... flags) {
        return CommandRun.of(TinyRun.flags("train", flags));
    }

    @Test
    void verifyNamesADamagedShardAndTrainingRefusesIt(@TempDir Path results) throws IOException {
        Path copy = Files.createDirectory(results.resolve("latents"));
        try (Stream<Path> files = Files.list(latents)) {
            for (Path file : files.toList())
                Files.copy(file, copy.resolve(file.getFileName().toString()));
        }
        Path shard = copy.resolve("latents-00000.safetensors");
        CommandRun whole = CommandRun.of("verify", copy.toString());
        assertEquals(0, whole.exitCode(), whole.err());
        assertEquals("OK   " + shard + "\n", whole.out());
        byte[] bytes = Files.readAllBytes(shard);
        bytes[bytes.length / 2] ^= 1;
        Files.write(shard, bytes);
        CommandRun damaged = CommandRun.of("verify", copy.toString());
        assertEquals(ExitCode.DATA.code, damaged.exitCode());
        assertTrue(damaged.out().contains("FAIL " + shard) && damaged.out().contains("block 0 "), damaged.out());
        CommandRun refused = train("--data-path=" + copy, "--results-dir=" + results.resolve("runs"));
        assertEquals(ExitCode.DATA.code, refused.exitCode());
        assertTrue(refused.err().contains("block 0 (from byte 0 on) is damaged; dit verify "), refused.err());
    }

    @Test
    void aModelOnLatentsTrainsAndDrawsPictures(@TempDir Path results) throws IOException {
        Path run =
                TinyRun.train(results, "--data-path=" + latents, "--vae=" + vae, "--sample-every=3", "--model=DiT-S/2");
        BufferedImage grid = Images.read(run.resolve("samples/step-0000003.png"));
        assertTrue(grid.getWidth() > 3 * SIDE, "pictures, not latents");
        String config = Files.readString(run.resolve("config.yaml"));
        assertTrue(config.contains("image-size: 16") && config.contains("DiT on 8x8 latents of 4 channels"), config);

        Path out = results.resolve("out");
        String[] sample = {
            "sample", "--ckpt=" + run, "--class=0,2", "--num-sampling-steps=ddim4", "--out=" + out, "--device=cpu"
        };
        CommandRun without = CommandRun.of(sample);
        assertEquals(ExitCode.USAGE.code, without.exitCode());
        assertTrue(without.err().contains("give the autoencoder that decodes them: --vae PATH"), without.err());
        CommandRun drawn =
                CommandRun.of(Stream.concat(Stream.of(sample), Stream.of("--vae=" + vae, "--frames", "--scale=1"))
                        .toArray(String[]::new));
        assertEquals(0, drawn.exitCode(), drawn.err());
        assertEquals(SIDE, Images.read(out.resolve("000-0.png")).getWidth());
        assertEquals(4, frames(out.resolve("denoising.gif")));
        // the steps in the colours of the data, one square for each latent, and at the end the pictures
        assertTrue(isOfSquares(frame(out.resolve("denoising.gif"), 0)));
        assertFalse(isOfSquares(frame(out.resolve("denoising.gif"), 3)));
        CommandRun previewed = CommandRun.of(Stream.concat(
                        Stream.of(sample),
                        Stream.of("--vae=" + vae, "--frames", "--scale=1", "--preview-vae=" + otherVae))
                .toArray(String[]::new));
        assertEquals(0, previewed.exitCode(), previewed.err());
        assertFalse(isOfSquares(frame(out.resolve("denoising.gif"), 0)));
        CommandRun withoutFilm = CommandRun.of(Stream.concat(Stream.of(sample), Stream.of("--preview-vae=" + otherVae))
                .toArray(String[]::new));
        assertTrue(withoutFilm.err().contains("add --frames"), withoutFilm.err());

        CommandRun other = CommandRun.of(
                Stream.concat(Stream.of(sample), Stream.of("--vae=" + otherVae)).toArray(String[]::new));
        assertEquals(ExitCode.USAGE.code, other.exitCode(), other.err());
        assertTrue(
                other.err().contains("the model was trained on the latents of another autoencoder, whose encoder"),
                other.err());
        // as the published sd-vae-ft-ema and sd-vae-ft-mse
        CommandRun decoder = CommandRun.of(Stream.concat(Stream.of(sample), Stream.of("--vae=" + otherDecoder))
                .toArray(String[]::new));
        assertEquals(0, decoder.exitCode(), decoder.err());
        // a converted file says it too
        Path alone = results.resolve("alone.safetensors");
        assertEquals(
                0, CommandRun.of("convert", run.toString(), alone.toString()).exitCode());
        sample[1] = "--ckpt=" + alone;
        other = CommandRun.of(
                Stream.concat(Stream.of(sample), Stream.of("--vae=" + otherVae)).toArray(String[]::new));
        assertTrue(other.err().contains("Give that one, or one that differs in its decoder only"), other.err());

        CommandRun again = CommandRun.of("train", "--config=" + run.resolve("config.yaml"), "--dry-run");
        assertEquals(0, again.exitCode(), again.err());
    }

    private static BufferedImage frame(Path gif, int index) throws IOException {
        ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
        try (ImageInputStream in = ImageIO.createImageInputStream(gif.toFile())) {
            reader.setInput(in);
            return reader.read(index);
        } finally {
            reader.dispose();
        }
    }

    /** Whether the lower right picture of a grid is of 2 × 2 pixels of one colour, which a decoder does not give. */
    private static boolean isOfSquares(BufferedImage grid) {
        int right = grid.getWidth() - 1, bottom = grid.getHeight() - 1;
        for (int x = 1; x < SIDE; x += 2)
            for (int y = 1; y < SIDE; y += 2)
                if (grid.getRGB(right - x, bottom - y) != grid.getRGB(right - x + 1, bottom - y + 1)) return false;
        return true;
    }

    private static int frames(Path gif) throws IOException {
        ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
        try (ImageInputStream in = ImageIO.createImageInputStream(gif.toFile())) {
            reader.setInput(in);
            return reader.getNumImages(true);
        } finally {
            reader.dispose();
        }
    }

    @Test
    void withoutTheAutoencoderGridsShowTheFittedColours(@TempDir Path results) throws IOException {
        Path run = TinyRun.train(results, "--data-path=" + latents, "--sample-every=3");
        assertTrue(Files.exists(run.resolve("samples/step-0000003.png")));
    }

    @Test
    void withoutColoursEitherGridsAreRefusedBeforeTheFirstStep(@TempDir Path results) throws IOException {
        Path grey = Files.createDirectory(results.resolve("grey"));
        try (Stream<Path> files = Files.list(latents)) {
            for (Path file : files.toList()) Files.copy(file, grey.resolve(file.getFileName()));
        }
        ObjectMapper json = new ObjectMapper();
        ObjectNode index =
                (ObjectNode) json.readTree(grey.resolve("latents.json").toFile());
        json.writeValue(grey.resolve("latents.json").toFile(), index.putNull("linearRgb"));
        CommandRun run = train("--data-path=" + grey, "--results-dir=" + results.resolve("runs"));
        assertEquals(ExitCode.USAGE.code, run.exitCode(), run.err());
        assertTrue(run.err().contains("these latents have no preview colours; give the autoencoder"), run.err());
        assertFalse(Files.exists(results.resolve("runs")));
        TinyRun.train(results.resolve("runs"), "--data-path=" + grey, "--sample-every=0");
    }

    @Test
    void latentsAreHeldOutAndValidatedOn(@TempDir Path results) throws IOException {
        Path run = TinyRun.train(
                results, "--data-path=" + latents, "--sample-every=0", "--hold-out=4", "--learning-rate=1e-9");
        for (int value = 0; value < 11; value++)
            assertEquals(values(run, 0).get(value), values(run, 1).get(value), 1e-6, "the same draws each time");
        Path other = results.resolve("other");
        Path validated = TinyRun.train(
                other, "--data-path=" + latents, "--sample-every=0", "--validation-path=" + latents, "--eval-every=1");
        assertTrue(
                Files.readAllLines(validated.resolve("validation.jsonl")).get(2).contains("\"items\":12,"));
    }

    /** The loss and its buckets. */
    private static List<Double> values(Path run, int line) throws IOException {
        JsonNode json = new ObjectMapper()
                .readTree(Files.readAllLines(run.resolve("validation.jsonl")).get(line));
        List<Double> values = new ArrayList<>(List.of(json.get("loss").asDouble()));
        json.get("buckets").forEach(bucket -> values.add(bucket.asDouble()));
        return values;
    }

    @Test
    void latentsOfAnotherAutoencoderAreRefused(@TempDir Path results) {
        CommandRun run = train("--data-path=" + latents, "--vae=" + otherVae, "--results-dir=" + results);
        assertEquals(ExitCode.USAGE.code, run.exitCode(), run.err());
        assertTrue(run.err().contains("the latents were made by another autoencoder"), run.err());
    }

    @Test
    void sizesAndClassesThatTheLatentsDoNotHaveAreRefused() {
        for (String flag : List.of("--image-size=32", "--channels=3", "--class-names=a")) {
            CommandRun run = train("--data-path=" + latents, flag, "--dry-run");
            assertEquals(ExitCode.USAGE.code, run.exitCode(), flag + run.err());
        }
    }

    @Test
    void brokenPicturesStopTheJobOrAreLeftOutAndNamed(@TempDir Path root) throws IOException {
        TestFiles.picture(root.resolve("pictures/a/1.png"), 20, 20);
        Path torn = TestFiles.cutShort(TestFiles.picture(root.resolve("pictures/a/2.png"), 20, 20), 8);
        CommandRun run = encode(root.resolve("pictures"), root.resolve("out"));
        assertEquals(ExitCode.DATA.code, run.exitCode(), run.err());
        assertTrue(run.err().contains(torn.toString()), run.err());
        run = encode(root.resolve("pictures"), root.resolve("skipped"), "--on-broken=skip");
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(run.err().contains("left out 1 broken:\n  " + torn), run.err());
        assertTrue(run.out().contains("1 broken ones left out"), run.out());
    }

    /** A folder, a zip and a tar with two whole pictures and a broken one in the same class. */
    private static List<Path> withABrokenPicture(Path root) throws IOException {
        Path whole = TestFiles.picture(root.resolve("pictures/a/0.png"), 20, 20);
        Path torn = TestFiles.cutShort(TestFiles.picture(root.resolve("pictures/a/1.png"), 20, 20), 8);
        TestFiles.picture(root.resolve("pictures/a/2.png"), 20, 20);
        Path zip = root.resolve("pictures.zip"), tar = root.resolve("pictures.tar");
        Map<String, byte[]> samples = new LinkedHashMap<>();
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
            for (int i = 0; i < 3; i++) {
                byte[] picture = Files.readAllBytes(i == 1 ? torn : whole);
                out.putNextEntry(new ZipEntry("a/" + i + ".png"));
                out.write(picture);
                samples.put(i + ".png", picture);
                samples.put(i + ".cls", "0".getBytes(StandardCharsets.US_ASCII));
            }
        }
        TestFiles.tar(tar, samples);
        return List.of(root.resolve("pictures"), zip, tar);
    }

    @Test
    void whatIsValidatedOnIsLookedAtBeforeTheFirstStepToo(@TempDir Path root) throws IOException {
        for (String part : List.of("train", "val"))
            for (String name : List.of("a/1.png", "a/2.png", "b/1.png"))
                TestFiles.picture(root.resolve(part).resolve(name), 20, 20);
        Path torn = Files.writeString(root.resolve("val/a/2.png"), "no picture");
        String[] flags = {
            "--data-path=" + root.resolve("train"),
            "--validation-path=" + root.resolve("val"),
            "--image-size=16",
            "--sample-every=0",
            "--results-dir=" + root.resolve("runs")
        };
        CommandRun run = train(flags);
        assertEquals(ExitCode.DATA.code, run.exitCode(), run.err());
        assertTrue(
                run.err().contains("1 of 3 pictures cannot be read")
                        && run.err().contains(torn.toString()),
                run.err());
        assertFalse(Files.exists(root.resolve("runs")));
        CommandRun skipped = train(
                Stream.concat(Stream.of(flags), Stream.of("--on-broken=skip")).toArray(String[]::new));
        assertEquals(0, skipped.exitCode(), skipped.err());
        assertTrue(skipped.err().contains("left out 1 broken:\n  " + torn), skipped.err());
    }

    /** An autoencoder of 16 channels in one file, which says nothing of how its latents are scaled. */
    @Test
    void aScaleThatAFileCannotSayIsGivenToEveryCommandThatOpensIt(@TempDir Path root) throws IOException {
        AutoencoderKlConfig config = new AutoencoderKlConfig(
                3, 3, 16, List.of(32, 64), 1, 32, SIDE, false, true, true, new LatentScaling(0.5, 0.25));
        torch.manual_seed(3);
        try (AutoencoderKl codec = config.network()) {
            VaeCheckpoint.write(root.resolve("wide"), codec);
        }
        Path single =
                Files.move(root.resolve("wide/diffusion_pytorch_model.safetensors"), root.resolve("wide.safetensors"));
        String scale = "--vae-scale=0.5", shift = "--vae-shift=0.25", file = "--vae=" + single;
        Path idx = TestFiles.idx(root.resolve("idx"), 12, 8, 8, 3), encoded = root.resolve("latents");
        assertEquals(0, encode(idx, encoded, file, scale, shift).exitCode());
        String[] flags = {"--data-path=" + encoded, file, "--sample-every=3", "--results-dir=" + root.resolve("runs")};
        CommandRun silent = train(flags);
        assertEquals(ExitCode.CHECKPOINT.code, silent.exitCode(), silent.err());
        assertTrue(silent.err().contains("(--vae-scale, --vae-shift)"), silent.err());
        CommandRun trained =
                train(Stream.concat(Stream.of(flags), Stream.of(scale, shift)).toArray(String[]::new));
        assertEquals(0, trained.exitCode(), trained.err());
        String sample = trained.out().strip();
        assertTrue(sample.endsWith(" --vae " + single + " --vae-scale 0.5 --vae-shift 0.25"), sample);
        String[] words = sample.split(" ");
        words[0] = "--debug";
        CommandRun drawn = CommandRun.of(Stream.concat(Arrays.stream(words), Stream.of("--out=" + root.resolve("s")))
                .toArray(String[]::new));
        assertEquals(0, drawn.exitCode(), drawn.err());
        assertEquals(
                "scale 0.5, shift 0.25",
                Images.readPngText(root.resolve("s/grid.png")).get("Latents"));
        Path run = root.resolve("runs").resolve("000-DiT-16x1-4"), to = root.resolve("pipeline");
        CommandRun refused = CommandRun.of("convert", run.toString(), to.toString(), file);
        assertEquals(ExitCode.CHECKPOINT.code, refused.exitCode(), refused.err());
        CommandRun alone = CommandRun.of("convert", run.toString(), to.toString(), scale);
        assertEquals(ExitCode.USAGE.code, alone.exitCode(), alone.err());
        CommandRun converted = CommandRun.of("convert", run.toString(), to.toString(), file, scale, shift);
        assertEquals(0, converted.exitCode(), converted.err());
        try (LatentCodec codec = VaeCheckpoint.open(to.resolve("vae"))) {
            assertEquals(new LatentScaling(0.5, 0.25), codec.scaling());
        }
        // of diffusers' pipelines all channels are guided
        CommandRun asDiffusers = CommandRun.of(
                "sample",
                "--ckpt=" + to,
                "--class=1",
                "--num-sampling-steps=2",
                "--device=cpu",
                "--out=" + root.resolve("d"));
        assertEquals(0, asDiffusers.exitCode(), asDiffusers.err());
        assertEquals("4.0", Images.readPngText(root.resolve("d/grid.png")).get("Guidance"));
        assertEquals(
                "4.0, the first 3 channels",
                Images.readPngText(root.resolve("s/grid.png")).get("Guidance"));
    }

    @Test
    void whereverABrokenPictureIsItStopsTheCommandOrIsNamedAndCounted(@TempDir Path root) throws IOException {
        for (Path data : withABrokenPicture(root)) {
            String[] train = {
                "--data-path=" + data,
                "--image-size=" + SIDE,
                "--results-dir=" + root.resolve("results"),
                "--sample-every=0",
                "--resume=never"
            };
            CommandRun stopped = train(train);
            assertEquals(ExitCode.DATA.code, stopped.exitCode(), stopped.err());
            assertTrue(stopped.err().contains("1.png"), stopped.err());
            CommandRun trained = train(Stream.concat(Stream.of(train), Stream.of("--on-broken=skip"))
                    .toArray(String[]::new));
            assertEquals(0, trained.exitCode(), trained.err());
            assertTrue(trained.err().contains("left out 1 broken:"), trained.err());
            Path encoded = root.resolve("latents-" + data.getFileName());
            assertEquals(ExitCode.DATA.code, encode(data, encoded).exitCode());
            CommandRun skipped = encode(data, encoded, "--on-broken=skip");
            assertEquals(0, skipped.exitCode(), skipped.err());
            assertTrue(
                    skipped.err().contains("left out 1 broken:")
                            && skipped.err().contains("1.png"),
                    skipped.err());
            assertTrue(skipped.out().contains("1 broken ones left out"), skipped.out());
        }
    }

    @Test
    void aFolderThatAnotherJobWritesIsRefusedByNameAndLeftAlone(@TempDir Path root) throws IOException {
        Path out = Files.createDirectory(root.resolve("out")), data = TestFiles.idx(root.resolve("idx"), 4, 8, 8, 2);
        try (FileChannel channel =
                        FileChannel.open(out.resolve("job.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            CommandRun run = encode(data, out);
            assertEquals(ExitCode.USAGE.code, run.exitCode(), run.err());
            assertTrue(run.err().contains(out + ": another job is writing here; wait for it"), run.err());
            assertFalse(Files.exists(out.resolve("latents.json")));
            assertTrue(lock.isValid());
        }
        assertEquals(0, encode(data, out).exitCode());
    }

    @Test
    void whatCannotBeEncodedIsSaid(@TempDir Path root) {
        CommandRun run = encode(latents, root);
        assertTrue(run.err().contains("holds latents; give pictures"), run.err());
        run = encode(Path.of("glyphs"), root);
        assertEquals(ExitCode.USAGE.code, run.exitCode());
        assertTrue(run.err().contains("have no end"), run.err());
    }
}
