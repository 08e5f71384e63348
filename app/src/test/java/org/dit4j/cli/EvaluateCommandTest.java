package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.QualifiedName;
import org.dit4j.io.Images;
import org.dit4j.io.Npz;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sets of pictures are compared, by a network of six features in place of Inception's. */
class EvaluateCommandTest {
    @TempDir
    static Path folder;

    private static Path network, samples, reference;

    @BeforeAll
    static void makeSets() throws IOException {
        network = folder.resolve("tiny.pt");
        try (TensorScope scope = new TensorScope()) {
            JitModule module = new JitModule(new QualifiedName("Tiny"));
            module.define(
                    "def forward(self, x: Tensor):\n    return torch.cat([x.mean([2, 3]), (x * x).mean([2, 3])], 1)\n");
            module.save(network.toString());
        }
        samples = pictures(folder.resolve("samples"), 40, 16, 1);
        reference = pictures(folder.resolve("reference/some"), 50, 16, 2).getParent();
    }

    private static Path pictures(Path to, int count, int side, long seed) throws IOException {
        Files.createDirectories(to);
        Random random = new Random(seed);
        for (int i = 0; i < count; i++) {
            byte[] rgb = new byte[3 * side * side];
            int range = 50 + random.nextInt(200);
            for (int k = 0; k < rgb.length; k++) rgb[k] = (byte) random.nextInt(range);
            Images.writePng(to.resolve(i + ".png"), Images.fromRgbBytes(rgb, side, side), Map.of());
        }
        return to;
    }

    private static CommandRun run(String command, String... more) {
        Stream<String> flags =
                Stream.of(command, "--features=" + network, "--device=cpu", "--cache=" + folder.resolve("cache"));
        return CommandRun.of(Stream.concat(flags, Stream.of(more)).toArray(String[]::new));
    }

    private static JsonNode json(CommandRun run) throws IOException {
        assertEquals(0, run.exitCode(), run.err());
        return new ObjectMapper().readTree(run.out());
    }

    @Test
    void figuresComeWithAllThatChangesThem() throws IOException {
        JsonNode result = json(run("evaluate", "--sample=" + samples, "--ref=" + reference, "--json"));
        assertTrue(result.get("fid").asDouble() > 0);
        assertTrue(result.get("precisionRecall").get("precision").asDouble() > 0);
        assertEquals(40, result.get("kid").get("subsetSize").asInt());
        JsonNode settings = result.get("settings");
        assertEquals(40, settings.get("sampleCount").asInt());
        assertEquals(50, settings.get("referenceCount").asInt());
        assertEquals(64, settings.get("networkWeights").asText().length());
        for (String name :
                new String[] {"sampleDigest", "referenceDigest", "quantisation", "preprocessing", "batchSize"})
            assertTrue(settings.hasNonNull(name), name);
        CommandRun table = run("evaluate", "--sample=" + samples, "--ref=" + reference);
        assertTrue(table.out().contains("Frechet distance") && table.out().contains("k = 3"), table.out());
        assertTrue(table.err().contains("40 samples, where papers compare 50,000"), table.err());
        assertFalse(table.err().contains("images/s"), "features were kept");
    }

    @Test
    void statisticsStandInForTheReferencesPictures() throws IOException {
        Path stats = folder.resolve("reference.npz");
        CommandRun made = run("stats", "--data-path=" + reference, "--out=" + stats);
        assertEquals(0, made.exitCode(), made.err());
        assertTrue(made.out().contains("6 features of 50 pictures"), made.out());
        JsonNode byPictures = json(run("evaluate", "--sample=" + samples, "--ref=" + reference, "--json"));
        JsonNode byStatistics = json(run("evaluate", "--sample=" + samples, "--ref=" + stats, "--json"));
        assertEquals(byPictures.get("fid"), byStatistics.get("fid"));
        assertFalse(byStatistics.has("precisionRecall"));
        JsonNode itself = json(run("evaluate", "--sample=" + reference, "--ref=" + stats, "--json"));
        assertEquals(0, itself.get("fid").asDouble());
        assertTrue(itself.get("warnings").toString().contains("the sample itself"));
        CommandRun other = run("evaluate", "--sample=" + samples, "--ref=" + stats, "--features-size=8");
        assertEquals(2, other.exitCode());
        assertTrue(other.err().contains("of another kind"), other.err());
    }

    @Test
    void packedPicturesGiveTheSameFiguresAsTheirFolder() throws IOException {
        byte[] all = new byte[40 * 16 * 16 * 3];
        for (int i = 0; i < 40; i++) {
            BufferedImage picture = Images.read(samples.resolve(i + ".png"));
            System.arraycopy(Images.toRgbBytes(picture), 0, all, i * 768, 768);
        }
        Path npz = folder.resolve("samples.npz");
        try (TensorScope scope = new TensorScope()) {
            Npz.write(npz, Map.of("arr_0", Tensors.of(all, 40, 16, 16, 3)), false);
        }
        double ofFolder = json(run("evaluate", "--sample=" + samples, "--ref=" + reference, "--json"))
                .get("fid")
                .asDouble();
        double packed = json(run("evaluate", "--sample=" + npz, "--ref=" + reference, "--json"))
                .get("fid")
                .asDouble();
        assertEquals(ofFolder, packed, 1e-9 * ofFolder); // another order of the same sums
    }

    @Test
    void aSheetShowsTheNearestPictures() throws IOException {
        Path sheet = folder.resolve("nearest.png");
        CommandRun run = run("evaluate", "--sample=" + samples, "--ref=" + samples, "--nearest=" + sheet);
        assertEquals(0, run.exitCode(), run.err());
        BufferedImage grid = Images.read(sheet);
        int side = (grid.getWidth() - 14) / 6; // six cells, two pixels around each
        for (int row = 0; row < 16; row++)
            for (int y = 0; y < side; y += 7)
                for (int x = 0; x < side; x += 7) {
                    int top = 2 + row * (side + 2) + y;
                    assertEquals(grid.getRGB(2 + x, top), grid.getRGB(4 + side + x, top), "itself is the nearest");
                }
        CommandRun refused =
                run("evaluate", "--sample=" + samples, "--ref=" + statisticsOf(reference), "--nearest=" + sheet);
        assertEquals(2, refused.exitCode());
        assertTrue(refused.err().contains("statistics only"), refused.err());
    }

    private static Path statisticsOf(Path pictures) {
        Path stats = folder.resolve("for-nearest.npz");
        CommandRun made = run("stats", "--data-path=" + pictures, "--out=" + stats);
        assertEquals(0, made.exitCode(), made.err());
        return stats;
    }

    @Test
    void aModelDrawsItsSamplesFirst() throws IOException {
        Path model = TinyRun.train(folder.resolve("results"));
        String[] flags = {
            "--sample=" + model, "--ref=" + reference, "--num-sampling-steps=ddim2", "--sampler=ddim", "--json"
        };
        CommandRun without = run("evaluate", flags);
        assertEquals(2, without.exitCode());
        assertTrue(without.err().contains("--num-samples"), without.err());
        JsonNode result = json(run(
                "evaluate",
                Stream.concat(Stream.of(flags), Stream.of("--num-samples=12")).toArray(String[]::new)));
        JsonNode settings = result.get("settings");
        assertEquals("ddim", settings.get("sampler").asText());
        assertEquals("ddim2", settings.get("steps").asText());
        assertEquals("balanced", settings.get("labels").asText());
        assertEquals(12, settings.get("sampleCount").asInt());
        assertTrue(Double.isFinite(result.get("fid").asDouble()));
    }

    @Test
    void wrongInputsGetAnErrorThatSaysWhatToDo() throws IOException {
        Path mixed = pictures(folder.resolve("mixed"), 2, 16, 3);
        TestFiles.picture(mixed.resolve("9.png"), 20, 16);
        CommandRun run = run("evaluate", "--sample=" + mixed, "--ref=" + reference);
        assertEquals(4, run.exitCode());
        assertTrue(run.err().contains("20×16") && run.err().contains("--image-size"), run.err());
        Path four = pictures(folder.resolve("four"), 4, 16, 3);
        TestFiles.picture(four.resolve("9.png"), 20, 16);
        CommandRun cropped = run("evaluate", "--sample=" + four, "--ref=" + reference, "--image-size=16");
        assertEquals(0, cropped.exitCode(), cropped.err());
        Path empty = Files.createDirectories(folder.resolve("empty"));
        CommandRun nothing = run("evaluate", "--sample=" + empty, "--ref=" + reference);
        assertEquals(4, nothing.exitCode());
        assertTrue(nothing.err().contains("no picture"), nothing.err());
        CommandRun many = run("evaluate", "--sample=" + samples, "--ref=" + reference, "--num-samples=41");
        assertEquals(2, many.exitCode());
        assertTrue(many.err().contains("holds 40 pictures"), many.err());
        CommandRun weights = CommandRun.of(
                "evaluate", "--sample=" + samples, "--ref=" + reference, "--inception=" + folder.resolve("none.pth"));
        assertEquals(5, weights.exitCode());
        assertTrue(weights.err().contains("pt_inception-2015-12-05-6726825d.pth (95628359 bytes"), weights.err());
    }
}
