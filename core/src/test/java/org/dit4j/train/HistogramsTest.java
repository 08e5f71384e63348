package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.dit4j.NativeObjects;
import org.dit4j.data.Glyphs;
import org.dit4j.io.EventFile;
import org.dit4j.io.EventRecords;
import org.dit4j.io.EventRecords.Message;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HistogramsTest {
    @TempDir
    private Path folder;

    /** Tag → histogram, as they are written. */
    private Map<String, Message> histograms(Trainer trainer) throws IOException {
        try (EventFile file = EventFile.create(folder, 1)) {
            file.add(1, Histograms.of(trainer.state()));
            Map<String, Message> byTag = new LinkedHashMap<>();
            List<Message> events = EventRecords.read(file.path());
            for (Object value :
                    events.get(events.size() - 1).message(5).fields().get(1)) {
                Message summary = Message.of((byte[]) value);
                byTag.put(summary.text(1), summary.message(5));
            }
            return byTag;
        }
    }

    @Test
    void gradientsThatHardlyDifferAreInTheMiddle() throws IOException {
        TrainConfig config = TrainConfig.published(Tiny.MODEL).withGlobalBatchSize(4);
        try (Trainer trainer = new Trainer(config, Tiny.EXECUTION, new Glyphs(3, 8));
                TensorScope scope = new TensorScope()) {
            trainer.state().parameters().gradients().zero_();
            trainer.state().parameters().gradients().narrow(0, 0, 1).fill_(new Scalar(1e-40));
            histograms(trainer).forEach((tag, histogram) -> {
                if (tag.startsWith("gradients/"))
                    assertEquals(histogram.one(3), histogram.packed(7).get(25), tag);
            });
        }
    }

    @Test
    void everyNumberOfAGroupIsCountedOnceAndNothingLeaks() throws IOException {
        TrainConfig config = TrainConfig.published(Tiny.MODEL).withGlobalBatchSize(4);
        try (Trainer trainer = new Trainer(config, Tiny.EXECUTION, new Glyphs(3, 8))) {
            trainer.step();
            Map<String, Message> histograms = histograms(trainer);
            for (String kind : List.of("weights", "gradients", "ema")) {
                double numbers = 0;
                for (String group : List.of("x_embedder", "t_embedder", "y_embedder", "blocks.0", "final_layer")) {
                    Message histogram = histograms.get(kind + "/" + group);
                    double counted = histogram.packed(7).stream()
                            .mapToDouble(Double::doubleValue)
                            .sum();
                    assertEquals(histogram.one(3), counted, kind + "/" + group);
                    assertTrue((double) histogram.one(1) < (double) histogram.one(2));
                    numbers += counted;
                }
                assertEquals(trainer.state().parameters().size(), numbers, kind);
            }
            long before = NativeObjects.settled();
            Histograms.of(trainer.state());
            assertEquals(before, NativeObjects.settled());

            try (TensorScope scope = new TensorScope()) {
                trainer.state().parameters().gradients().narrow(0, 0, 1).fill_(new Scalar(Double.NaN));
            }
            Map<String, Message> without = histograms(trainer);
            assertEquals(histograms.size() - 1, without.size());
            assertTrue(without.containsKey("weights/x_embedder") && without.containsKey("gradients/blocks.0"));
        }
    }
}
