package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.NativeObjects;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.Retention;
import org.dit4j.data.Glyphs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotTest {
    @TempDir
    private Path folder;

    @Test
    void aSnapshotFreesWhatItMakes() throws IOException {
        TrainConfig config = TrainConfig.published(Tiny.MODEL).withGlobalBatchSize(4);
        try (Trainer trainer = new Trainer(config, Tiny.EXECUTION, new Glyphs(3, 8))) {
            trainer.step();
            long before = NativeObjects.settled();
            DiTDescription description = new DiTDescription(config.model(), List.of(), config.diffusion(), "");
            try (Snapshot snapshot = new Snapshot(trainer.state(), description)) {
                snapshot.take(Map.of());
                Path saved = snapshot.save(folder, new Retention(1, 0));
                Snapshot.restore(trainer.state(), saved);
                trainer.rollBack(saved);
            }
            assertEquals(before, Pointer.totalCount());
        }
    }
}
