package example;

import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;

/** The lines of the README as a program: draws three of the built-in shapes with the run folder that is given, into the current folder. */
public class Consumer {
    public static void main(String[] args) throws IOException {
        Path run = Path.of(args[0]); // a folder that ./dit demo or ./dit train has left in results
        try (DiTPipeline pipeline = DiTPipeline.open(run)) {
            SampleRequest request = SampleRequest.of("star", "heart", "moon").withSteps(50).withGuidance(2);
            List<BufferedImage> pictures = pipeline.sample(request);
            for (int i = 0; i < pictures.size(); i++)
                ImageIO.write(pictures.get(i), "png", new File(i + ".png"));
        }
    }
}
