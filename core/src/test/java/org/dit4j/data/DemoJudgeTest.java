package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.io.Images;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A classifier trained on the built-in shapes judges a run of the demo:
 * {@code ./dit demo && mvn test -pl core -Dtest=DemoJudgeTest -Ddit.excludedTags= -DargLine=-Ddit.run=$PWD/results/000-DiT-192x6-8}.
 */
@Tag("slow")
class DemoJudgeTest {
    private static final int NUM_PICTURES = 100;

    @Test
    void aClassifierNamesWhatTheDemoDraws() throws IOException {
        String run = System.getProperty("dit.run");
        assumeTrue(run != null, "name a run folder of dit demo with -Ddit.run");
        int[] labels = IntStream.range(0, NUM_PICTURES).map(i -> i % 10).toArray();
        GlyphClassifier judge = GlyphClassifier.train(0);
        try (DiTPipeline pipeline = DiTPipeline.open(Path.of(run));
                TensorScope scope = new TensorScope()) {
            SampleRequest request =
                    SampleRequest.ofLabels(labels).withSteps(50).withGuidance(2).withSeed(7);
            Tensor[] pictures =
                    pipeline.sample(request).stream().map(Images::toTensor).toArray(Tensor[]::new);
            int[] named = judge.classify(Tensors.stack(0, pictures));
            int right = 0;
            for (int i = 0; i < NUM_PICTURES; i++) if (named[i] == i % 10) right++;
            System.out.println("the classifier names " + right + " of " + NUM_PICTURES + " pictures of " + run);
            assertTrue(right >= 0.8 * NUM_PICTURES, right + " of " + NUM_PICTURES);
        }
    }
}
