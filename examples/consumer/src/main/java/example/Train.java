package example;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.data.Dataset;
import org.dit4j.model.DiTConfig;
import org.dit4j.run.RunPlan;
import org.dit4j.run.TrainingListener;
import org.dit4j.run.TrainingRun;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;

/** The lines of docs/embedding.md as a program: trains on pictures of its own, is stopped, goes on, and draws what it learned. */
public class Train {
    /** Your own data: so many items of a size, a class for each, and its pixels, from −1 to 1. */
    record Discs() implements Dataset {
        @Override
        public long size() {
            return 200;
        }

        @Override
        public int channels() {
            return 3;
        }

        @Override
        public int height() {
            return 16;
        }

        @Override
        public int width() {
            return 16;
        }

        @Override
        public List<String> classNames() {
            return List.of("red", "blue");
        }

        @Override
        public int label(long index) {
            return (int) (index % 2);
        }

        @Override
        public void pixels(long index, float[] out, int offset) {
            Arrays.fill(out, offset, offset + 3 * 256, -1);
            double radius = 3 + index % 5;
            int colour = label(index) == 0 ? 0 : 2;
            for (int i = 0; i < 256; i++)
                if (Math.hypot(i % 16 - 7.5, i / 16 - 7.5) < radius) out[offset + colour * 256 + i] = 1;
        }

        @Override
        public String describe() {
            return "200 discs, red and blue";
        }
    }

    public static void main(String[] args) throws IOException {
        DiTConfig model = DiTConfig.of("DiT-S/4").withInputSize(16, 16).withInChannels(3).withClasses(2, 0.1);
        TrainConfig config = TrainConfig.published(model.withTrunk(64, 2, 2)).withGlobalBatchSize(8);
        Path folder = null;
        for (int start = 1; start <= 2; start++) // the second goes on where the first was stopped
            try (TrainingRun run = TrainingRun.open(Path.of("runs"), "discs", RunPlan.of(config, 40), new Discs())) {
                run.run(new TrainingListener() {
                    @Override
                    public boolean onStep(Trainer trainer) {
                        if (trainer.steps() == 20) run.stop(); // from any thread: a button, a signal
                        return true;
                    }
                });
                folder = run.folder().path();
            }
        try (DiTPipeline pipeline = DiTPipeline.open(folder)) {
            SampleRequest request = SampleRequest.of("red").withSteps(10);
            ImageIO.write(pipeline.sample(request).get(0), "png", new File("red.png"));
        }
    }
}
