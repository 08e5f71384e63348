package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Readers of a run beside the one that trains, saves every moment, and keeps one checkpoint. */
class BesideARunTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 4, 3, 12, 1, 3, 2, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @TempDir
    private Path run;

    private volatile boolean stopping;

    private Path checkpoints() {
        return run.resolve("checkpoints");
    }

    /** All weights of step n are n, and of both networks the same. */
    private void save(DiT network, long step) throws IOException {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> weights = StateDict.of(network);
            weights.values().forEach(tensor -> tensor.fill_(new Scalar((double) step)));
            Map<String, String> metadata =
                    new DiTDescription(TINY, List.of(), DiffusionConfig.PUBLISHED, "step " + step).metadata();
            Map<String, CheckpointPart> parts = new LinkedHashMap<>();
            parts.put(CheckpointFolder.MODEL, new CheckpointPart(weights, metadata));
            parts.put(CheckpointFolder.EMA, new CheckpointPart(weights, metadata));
            parts.put(
                    CheckpointFolder.OPTIMIZER,
                    new CheckpointPart(Map.of("step", Tensors.of(new double[] {step}, 1)), Map.of()));
            CheckpointFolder.save(checkpoints(), step, parts, Map.of("step", step), new Retention(1, 0));
        }
    }

    private interface Reading {
        void run() throws Exception;
    }

    /** Reads so often, and while so many steps are saved, by another thread. */
    private void besideAWriter(int reads, int steps, Reading reading) throws Exception {
        Files.createDirectories(checkpoints());
        ExecutorService writer = Executors.newSingleThreadExecutor();
        try (DiT network = TINY.network()) {
            save(network, 1);
            AtomicLong step = new AtomicLong(1);
            Future<?> saving = writer.submit(() -> {
                while (!stopping) save(network, step.incrementAndGet());
                return null;
            });
            for (int i = 0; (i < reads || step.get() < steps) && !saving.isDone(); i++) reading.run();
            stopping = true;
            saving.get();
        } finally {
            stopping = true;
            writer.shutdown();
        }
    }

    /** Each read gives the weights of one step, whole. */
    private void open(Path path) throws IOException {
        DiTWeights weights = Checkpoints.open(path, OpenOptions.DEFAULT);
        String step = weights.description().weights().replace("step ", "");
        Thread.yield();
        try (TensorScope scope = new TensorScope()) {
            for (Tensor tensor : weights.read().values())
                for (float value : Tensors.toFloats(tensor)) assertEquals(Float.parseFloat(step), value);
        }
    }

    @Test
    void whatIsOpenedIsReadWholeThoughItIsReplacedMeanwhile() throws Exception {
        besideAWriter(500, 60, () -> open(run));
    }

    @Test
    void whatIsOpenedStaysReadableWhenItIsDeleted() throws IOException {
        Files.createDirectories(checkpoints());
        try (DiT network = TINY.network()) {
            save(network, 1);
            DiTWeights weights = Checkpoints.open(run, OpenOptions.DEFAULT);
            save(network, 2);
            try (TensorScope scope = new TensorScope()) {
                assertEquals(1, Tensors.toFloats(weights.read().get("pos_embed"))[0]);
            }
        }
    }

    @Test
    void noCheckpointIsCalledDamagedThatWasReplaced() throws Exception {
        int[] whole = {0};
        besideAWriter(500, 60, () -> {
            for (Path checkpoint : CheckpointFolder.checkpoints(checkpoints())) {
                Optional<List<String>> damage = CheckpointFolder.verifyUnlessReplaced(checkpoint);
                assertEquals(List.of(), damage.orElse(List.of()));
                if (damage.isPresent()) whole[0]++;
            }
            assertTrue(CheckpointFolder.latest(checkpoints()).isPresent(), "there is one at every moment");
            assertEquals(List.of(), CheckpointFolder.incomplete(checkpoints()));
        });
        assertTrue(whole[0] > 250, "only " + whole[0] + " could be read");
    }

    @Test
    void whatIsInspectedIsOfOneStep() throws Exception {
        besideAWriter(100, 30, () -> {
            Inspection inspection = Inspection.of(run, OpenOptions.DEFAULT);
            String weights = inspection.model().orElseThrow().weights();
            assertEquals(weights, inspection.metadata().get("dit4j.weights"));
            String name = String.format("step-%07d", Long.parseLong(weights.replace("step ", "")));
            assertTrue(inspection.files().get(0).path().contains(name), inspection.files() + " " + weights);
        });
    }

    @Test
    void damageIsStillDamageWhereNobodyTrains() throws IOException {
        Files.createDirectories(checkpoints());
        try (DiT network = TINY.network()) {
            save(network, 1);
        }
        Path checkpoint = checkpoints().resolve("step-0000001"), file = checkpoint.resolve(CheckpointFolder.EMA);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 1;
        Files.write(file, bytes);
        assertTrue(
                CheckpointFolder.verifyUnlessReplaced(checkpoint).orElseThrow().size() >= 1);
        assertThrows(FormatException.class, () -> Checkpoints.open(run, OpenOptions.DEFAULT));
        Files.delete(file);
        assertEquals(List.of(checkpoint), CheckpointFolder.incomplete(checkpoints()));
        assertTrue(assertThrows(FormatException.class, () -> Checkpoints.open(run, OpenOptions.DEFAULT))
                .getMessage()
                .contains("holds no checkpoint"));
    }
}
