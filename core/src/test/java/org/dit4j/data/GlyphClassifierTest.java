package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
class GlyphClassifierTest {
    private static GlyphClassifier classifier;

    @BeforeAll
    static void train() {
        long start = System.nanoTime();
        classifier = GlyphClassifier.train(0);
        System.out.printf("glyph classifier: trained in %.1f s%n", (System.nanoTime() - start) * 1e-9);
    }

    private static double accuracy(float factor) throws IOException {
        int right = 0, total = 0;
        try (BatchLoader loader = new BatchLoader(new Glyphs(1), LoaderConfig.of(0, 100))) {
            for (int i = 0; i < 20; i++)
                try (TensorScope scope = new TensorScope()) {
                    Batch batch = loader.next();
                    Tensor images = batch.images().mul(new Scalar(factor));
                    int[] classes = classifier.classify(images);
                    for (int row = 0; row < classes.length; row++, total++)
                        if (classes[row] == batch.labels()[row]) right++;
                }
        }
        return (double) right / total;
    }

    @Test
    void namesGlyphsOfAnotherSeed() throws IOException {
        double accuracy = accuracy(1);
        System.out.println("glyph classifier: " + 100 * accuracy + "% of 2000 unseen glyphs");
        assertTrue(accuracy > 0.98, "accuracy " + accuracy);
    }

    @Test
    void namesNothingWhereThereIsNothingToSee() throws IOException {
        assertEquals(0.1, accuracy(0), 1e-9); // the same answer for every empty picture: one class of ten
    }

    @Test
    void classifyingFreesWhatItMakes() throws IOException {
        accuracy(1);
        long before = NativeObjects.settled();
        accuracy(1);
        assertEquals(before, Pointer.totalCount());
    }
}
