package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.NativeObjects;
import org.dit4j.checkpoint.FaultyDisk.Loss;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointFolderTest {
    private static final Retention TWO = new Retention(2, 0);

    @TempDir
    private Path temporary;

    private TensorScope scope;

    @BeforeEach
    void open() {
        scope = new TensorScope();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    /** A small state, another for each step. */
    private static Map<String, CheckpointPart> parts(long step) {
        Map<String, CheckpointPart> parts = new LinkedHashMap<>();
        for (String file : List.of(CheckpointFolder.MODEL, CheckpointFolder.EMA, CheckpointFolder.OPTIMIZER)) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            tensors.put("weight", Tensors.of(new float[] {step, file.length(), 3, -1.5f, 0, 7}, 2, 3));
            tensors.put("none", Tensors.empty(ScalarType.Float, 0));
            tensors.put("step", Tensors.of(new long[] {step}, 1));
            parts.put(file, new CheckpointPart(tensors, Map.of("format", "pt")));
        }
        return parts;
    }

    private static Path save(Disk disk, Path folder, long step, Retention retention) throws IOException {
        return new CheckpointWriter(disk, folder)
                .save(step, parts(step), CheckpointFolder.json(Map.of("step", step)), retention);
    }

    private Path folder() throws IOException {
        return Files.createDirectories(temporary.resolve("checkpoints"));
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        }
    }

    private static Path newest(Path folder) throws IOException {
        return CheckpointFolder.newestWhole(folder, skipped -> {}).orElseThrow();
    }

    private static void assertHolds(Path checkpoint, long step) throws IOException {
        assertEquals(step, CheckpointFolder.state(checkpoint).get("step").asLong());
        for (Map.Entry<String, CheckpointPart> part : parts(step).entrySet()) {
            Map<String, Tensor> read = Safetensors.read(checkpoint.resolve(part.getKey()));
            part.getValue().tensors().forEach((name, tensor) -> assertTrue(torch.equal(tensor, read.get(name)), name));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"step\": 9223372036854775807}",
                "{\"step\": -1}",
                "{\"step\": 1e300}",
                "{\"step\": 3}",
                "{\"step\": \"2\"}",
                "{\"step\": 2, \"trainedImages\": 9223372036854775000}",
                "{\"step\": 2, \"trainedImages\": 9007199254740992}",
                "{\"step\": 2, \"trainedImages\": -5}",
                "{\"step\": 2, \"metricsBytes\": -1}",
                "{\"step\": 2, \"skippedInARow\": 1e18}",
                "[]",
                "not JSON"
            })
    void aStateWithImpossibleCountsIsADamagedCheckpointAndTheNextOlderOneIsTaken(String crafted) throws IOException {
        Path older = save(Disk.REAL, folder(), 1, new Retention(3, 0));
        // its manifest is right: whoever crafted it wrote that too
        Path newer = new CheckpointWriter(Disk.REAL, folder())
                .save(2, parts(2), crafted.getBytes(StandardCharsets.UTF_8), new Retention(3, 0));
        assertThrows(FormatException.class, () -> CheckpointFolder.state(newer));
        List<String> skipped = new ArrayList<>();
        assertEquals(Optional.of(older), CheckpointFolder.newestWhole(folder(), skipped::add));
        assertTrue(skipped.get(0).startsWith(newer.resolve("state.json") + ": "), skipped::toString);
    }

    @Test
    void whatWasSavedIsReadAgain() throws IOException {
        Path checkpoint = CheckpointFolder.save(folder(), 12, parts(12), Map.of("step", 12), TWO);
        assertEquals(folder().resolve("step-0000012"), checkpoint);
        assertEquals(List.of(), CheckpointFolder.verify(checkpoint));
        assertHolds(checkpoint, 12);
        assertEquals("step-0000012\n", Files.readString(folder().resolve("LATEST")));
        assertEquals(List.of("LATEST", "step-0000012"), names(folder()));
        assertEquals(Optional.of(checkpoint), CheckpointFolder.latest(folder()));
    }

    @Test
    void aFolderWithoutCheckpointsHasNone() throws IOException {
        assertEquals(Optional.empty(), CheckpointFolder.latest(folder()));
        assertEquals(Optional.empty(), CheckpointFolder.latest(temporary.resolve("absent")));
        assertEquals(Optional.empty(), CheckpointFolder.newestWhole(temporary.resolve("absent"), skipped -> {}));
    }

    @ParameterizedTest
    @CsvSource({"1,0,'7'", "3,0,'5,6,7'", "2,3,'3,6,7'", "1,2,'2,4,6,7'", "9,0,'1,2,3,4,5,6,7'"})
    void theLastAndEveryFewthStay(int last, long every, String expected) throws IOException {
        for (int step = 1; step <= 7; step++)
            CheckpointFolder.save(folder(), step, parts(step), Map.of("step", step), new Retention(last, every));
        List<String> steps = Arrays.stream(expected.split(","))
                .map(step -> CheckpointNames.name(Long.parseLong(step)))
                .toList();
        List<String> all = new ArrayList<>(List.of("LATEST"));
        all.addAll(steps);
        assertEquals(all, names(folder()));
    }

    @Test
    void aRetentionThatKeepsNothingIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new Retention(0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Retention(1, -1));
    }

    @Test
    void aStepThatIsSavedAgainReplacesItsFormerCheckpoint() throws IOException {
        Path checkpoint = save(Disk.REAL, folder(), 5, TWO);
        Files.write(checkpoint.resolve(CheckpointFolder.EMA), new byte[] {1});
        assertFalse(CheckpointFolder.verify(checkpoint).isEmpty());
        save(Disk.REAL, folder(), 5, TWO);
        assertEquals(List.of(), CheckpointFolder.verify(checkpoint));
        assertEquals(List.of("LATEST", "step-0000005"), names(folder()));
    }

    @Test
    void aDamagedCheckpointIsNamedAndTheOneBeforeItIsUsed() throws IOException {
        Path older = save(Disk.REAL, folder(), 1, TWO), newer = save(Disk.REAL, folder(), 2, TWO);
        Path file = newer.resolve(CheckpointFolder.OPTIMIZER);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 4;
        Files.write(file, bytes);
        List<String> skipped = new ArrayList<>();
        assertEquals(Optional.of(older), CheckpointFolder.newestWhole(folder(), skipped::add));
        assertEquals(
                List.of(file + ": block 0 (from byte 0 on) is damaged, and 1 more; dit verify names them"), skipped);
        assertEquals(
                List.of(file + ": block 0 (from byte 0 on) is damaged", file + ": tensor step is damaged"),
                CheckpointFolder.verify(newer));
        assertEquals(
                Optional.of(newer), CheckpointFolder.latest(folder()), "its size is right, its content is not read");
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
        assertEquals(Optional.of(older), CheckpointFolder.latest(folder()));
        Files.delete(file);
        assertEquals(List.of(file + ": is not there"), CheckpointFolder.verify(newer));
    }

    @Test
    void damagedOnesOfLaterStepsDoNotPushOutWhatIsSaved() throws IOException {
        Retention one = new Retention(1, 10);
        save(Disk.REAL, folder(), 20, one);
        Path damaged = save(Disk.REAL, folder(), 30, one), file = damaged.resolve(CheckpointFolder.MODEL);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
        Path saved = save(Disk.REAL, folder(), 25, one);
        assertEquals(List.of(), CheckpointFolder.verify(saved));
        assertEquals(List.of("LATEST", "step-0000020", "step-0000025"), names(folder()));
        assertEquals(Optional.of(saved), CheckpointFolder.latest(folder()));
    }

    @Test
    void whatOthersPutBesideCheckpointsAndIntoThemDoesNotStopASave() throws IOException {
        Path first = save(Disk.REAL, folder(), 1, TWO);
        Files.writeString(Files.createDirectory(first.resolve("@eaDir")).resolve("thumbnail"), "");
        Files.writeString(folder().resolve("step-0000003"), "no folder");
        for (int step = 2; step <= 3; step++) save(Disk.REAL, folder(), step, TWO);
        assertEquals(List.of("LATEST", "step-0000002", "step-0000003"), names(folder()));
        assertHolds(newest(folder()), 3);
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void aCheckpointThatIsALinkToAnotherPlaceIsNotDeletedThere() throws IOException {
        Path moved = Files.move(save(Disk.REAL, folder(), 1, TWO), temporary.resolve("step-0000001"));
        Files.createSymbolicLink(folder().resolve("step-0000001"), moved);
        for (int step = 2; step <= 3; step++) save(Disk.REAL, folder(), step, TWO);
        assertEquals(List.of("LATEST", "step-0000002", "step-0000003"), names(folder()));
        assertEquals(List.of(), CheckpointFolder.verify(moved));
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aCheckpointThatTheDiskCannotReadIsDamaged() throws IOException {
        Path older = save(Disk.REAL, folder(), 1, TWO), newer = save(Disk.REAL, folder(), 2, TWO);
        Path manifest = newer.resolve("MANIFEST.json");
        Files.delete(manifest);
        Files.createSymbolicLink(manifest, Path.of("/proc/self/mem")); // its first bytes are an I/O error
        List<String> skipped = new ArrayList<>();
        assertEquals(Optional.of(older), CheckpointFolder.newestWhole(folder(), skipped::add));
        assertEquals(1, skipped.size());
        assertTrue(skipped.get(0).startsWith(manifest + ": cannot be read: "), skipped.get(0));
        assertEquals(Optional.of(older), CheckpointFolder.latest(folder()));
        Files.delete(manifest);
    }

    @Test
    void filesOfSeveralBlocksHaveADigestForEach() throws IOException {
        Map<String, CheckpointPart> parts = parts(1);
        float[] large = new float[700_000];
        parts.put(
                CheckpointFolder.MODEL, new CheckpointPart(Map.of("large", Tensors.of(large, large.length)), Map.of()));
        Path checkpoint = CheckpointFolder.save(folder(), 1, parts, Map.of(), TWO);
        assertEquals(List.of(), CheckpointFolder.verify(checkpoint));
        Path file = checkpoint.resolve(CheckpointFolder.MODEL);
        byte[] bytes = Files.readAllBytes(file);
        bytes[2 * Manifest.BLOCK + 5] ^= 1;
        Files.write(file, bytes);
        assertEquals(
                List.of(file + ": block 2 (from byte 2097152 on) is damaged", file + ": tensor large is damaged"),
                CheckpointFolder.verify(checkpoint));
    }

    @Test
    void twoThousandFlippedBitsAreAllDetected() throws IOException {
        flipBits(2_000);
    }

    @Test
    @Tag("slow")
    void aHundredThousandFlippedBitsAreAllDetected() throws IOException {
        flipBits(100_000);
    }

    private void flipBits(int count) throws IOException {
        Path checkpoint = save(Disk.REAL, folder(), 1, TWO);
        Map<Path, byte[]> files = new LinkedHashMap<>();
        for (String name : names(checkpoint))
            files.put(checkpoint.resolve(name), Files.readAllBytes(checkpoint.resolve(name)));
        assertEquals(5, files.size());
        List<Path> paths = List.copyOf(files.keySet());
        Random random = new Random(count);
        for (int i = 0; i < count; i++) {
            Path path = paths.get(i % paths.size());
            byte[] bytes = files.get(path).clone();
            int bit = random.nextInt(8 * bytes.length);
            bytes[bit / 8] ^= (byte) (1 << bit % 8);
            Files.write(path, bytes);
            List<String> damage = CheckpointFolder.verify(checkpoint);
            assertFalse(damage.isEmpty(), path + ", bit " + bit);
            assertTrue(damage.get(0).startsWith(path.toString()), damage.toString());
            Files.write(path, files.get(path));
        }
        assertEquals(List.of(), CheckpointFolder.verify(checkpoint));
    }

    @Test
    void aManifestThatLeadsElsewhereIsRefused() throws IOException {
        Path checkpoint = save(Disk.REAL, folder(), 1, TWO);
        Manifest manifest = Manifest.read(checkpoint);
        List<Manifest.StoredFile> files = new ArrayList<>(manifest.files());
        Manifest.StoredFile state = files.remove(3);
        List<Manifest.StoredFile> wrong = List.of(
                new Manifest.StoredFile("../state.json", state.bytes(), state.blocks(), state.tensors()),
                new Manifest.StoredFile("state.json", state.bytes() + Manifest.BLOCK, state.blocks(), state.tensors()),
                new Manifest.StoredFile(
                        "state.json", state.bytes(), state.blocks(), Map.of("x", new Manifest.StoredTensor(9, 3, ""))),
                new Manifest.StoredFile("other.json", state.bytes(), state.blocks(), state.tensors()));
        for (Manifest.StoredFile file : wrong) {
            List<Manifest.StoredFile> all = new ArrayList<>(files);
            all.add(file);
            Files.write(checkpoint.resolve(Manifest.NAME), new Manifest(1, all).toBytes());
            assertThrows(FormatException.class, () -> Manifest.read(checkpoint));
        }
        Files.write(checkpoint.resolve(Manifest.NAME), new Manifest(2, 1, manifest.files()).toBytes());
        assertTrue(CheckpointFolder.verify(checkpoint).get(0).endsWith("is of format 2; this version reads format 1"));
    }

    @Test
    void aFullDiskIsNoticedBeforeAByteIsWritten() throws IOException {
        FaultyDisk disk = new FaultyDisk(folder());
        save(disk, folder(), 1, TWO);
        disk.free = 1000;
        String message = assertThrows(IOException.class, () -> save(disk, folder(), 2, TWO))
                .getMessage();
        assertTrue(
                message.matches(
                        "No space left on device: the checkpoint of step 2 needs [0-9,]+ bytes, .* has 1,000 free"),
                message);
        disk.restart(Loss.NONE, new Random(0), temporary.resolve("found"));
        assertEquals(List.of("LATEST", "step-0000001"), names(temporary.resolve("found")));
    }

    /**
     * One save after another, in which call k fails once, or the machine stops there; then, whatever became of what was not forced, the
     * newest whole checkpoint is the former or the new one, and the next start saves again and leaves nothing behind.
     */
    @Test
    void aFolderThatSomebodyTookAwayIsNamed() throws IOException {
        Path gone = temporary.resolve("gone");
        IOException thrown = assertThrows(IOException.class, () -> save(Disk.REAL, gone, 1, TWO));
        assertEquals(gone + ": the folder of checkpoints is not there any more", thrown.getMessage());
    }

    @Test
    void whateverCallFailsTheFormerOrTheNewCheckpointIsWhole() throws IOException {
        int numCalls = callsOfASave(), former = 0, latter = 0;
        assertTrue(numCalls > 40, numCalls + " calls");
        for (int call = 0; call < numCalls; call++)
            for (Loss loss : Loss.values())
                for (int seed = 0; seed < (loss == Loss.TORN ? 4 : 1); seed++) {
                    String place = "call " + call + ", " + loss;
                    Path found = temporary.resolve("found");
                    FaultyDisk disk = withTwoCheckpoints();
                    disk.failAt(call, loss != Loss.NONE);
                    if (loss == Loss.NONE) assertThrows(IOException.class, () -> save(disk, folder(), 3, TWO), place);
                    else assertThrows(FaultyDisk.Stopped.class, () -> save(disk, folder(), 3, TWO), place);
                    disk.restart(loss, new Random(seed), found);
                    Path newest = newest(found);
                    long step = CheckpointNames.step(newest);
                    assertTrue(step == 2 || step == 3, place + " left step " + step);
                    assertHolds(newest, step);
                    if (step == 2) former++;
                    else latter++;
                    CheckpointFolder.removeOrphans(found);
                    save(Disk.REAL, found, 4, TWO);
                    assertEquals(List.of("LATEST", CheckpointNames.name(step), "step-0000004"), names(found), place);
                    deleteAll(found);
                }
        assertTrue(former > 20 && latter > 20, former + " former and " + latter + " new checkpoints were found");
    }

    @Test
    void afterItReturnsASaveIsDurable() throws IOException {
        FaultyDisk disk = withTwoCheckpoints();
        disk.restart(Loss.LOST, new Random(0), temporary.resolve("found"));
        assertHolds(newest(temporary.resolve("found")), 2);
        assertEquals(
                "step-0000002\n", Files.readString(temporary.resolve("found").resolve("LATEST")));
    }

    @Test
    void aFailedSaveCleansUpAndTheNextOneWorks() throws IOException {
        int numCalls = callsOfASave();
        for (int call = 0; call < numCalls; call++) {
            FaultyDisk disk = withTwoCheckpoints();
            disk.failAt(call, false);
            assertThrows(IOException.class, () -> save(disk, folder(), 3, TWO));
            save(disk, folder(), 4, TWO);
            List<Path> left = disk.list(folder());
            assertEquals(3, left.size(), "call " + call + " left " + left);
        }
    }

    private FaultyDisk withTwoCheckpoints() throws IOException {
        FaultyDisk disk = new FaultyDisk(folder());
        save(disk, folder(), 1, TWO);
        save(disk, folder(), 2, TWO);
        return disk;
    }

    private int callsOfASave() throws IOException {
        FaultyDisk disk = withTwoCheckpoints();
        disk.failAt(Integer.MAX_VALUE, false);
        save(disk, folder(), 3, TWO);
        return disk.calls();
    }

    private static void deleteAll(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
        }
    }

    @Test
    void savingFreesWhatItMakes() throws IOException {
        Map<String, CheckpointPart> parts = parts(1);
        CheckpointFolder.save(folder(), 1, parts, Map.of(), TWO);
        long before = NativeObjects.settled();
        CheckpointFolder.save(folder(), 2, parts, Map.of(), TWO);
        assertEquals(before, Pointer.totalCount());
    }
}
