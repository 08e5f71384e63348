package org.dit4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.Golden;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** A pipeline's folder as diffusers wrote it, one call of its transformer, and pictures from a seed. */
@ExtendWith(Golden.Cases.class)
class DiffusersGoldenTest {
    private static final String FOLDER = "diffusers_pipeline", NUMBERS = "diffusers_pipeline.io.safetensors";
    /** float32 sums in another order; the two deviations of the published code are far above (checked below). */
    private static final double CALL = 5e-6;
    /** Ten steps and the autoencoder on top of that. */
    private static final double IMAGES = 1e-4;

    @Test
    void theTransformerPredictsWhatDiffusersPredicts() throws IOException {
        Path folder = Golden.path(FOLDER);
        DiT diffusers = Checkpoints.open(folder, OpenOptions.DEFAULT).open();
        DiT official = Checkpoints.open(folder, OpenOptions.DEFAULT.withProfile(Profile.OFFICIAL))
                .open();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> golden = Golden.tensors(NUMBERS);
            Tensor x = golden.get("x"), t = golden.get("t"), y = golden.get("y"), out = golden.get("out");
            Tensor ours = diffusers.forward(x, t, y);
            Golden.assertClose("out", out, ours, CALL);
            Golden.assertRejected("frequency divisor 128", out, mixed(official, diffusers, x, t, y), CALL);
            // ε hardly moves tokens of variance about 1 (2.5e-6 here), but further than rounding does (9e-7)
            double rounding = Golden.relativeError(out, ours);
            Golden.assertRejected("eps 1e-6 before the MLP", out, mixed(diffusers, official, x, t, y), 1.5 * rounding);
        }
        diffusers.close();
        official.close();
    }

    /** One network's conditioning, the other's blocks. */
    private static Tensor mixed(DiT conditioning, DiT trunk, Tensor x, Tensor t, Tensor y) {
        Tensor c = conditioning.condition(t, y);
        Tensor tokens = trunk.embed(x, c);
        for (DiTBlock block : trunk.blocks()) tokens = block.forward(tokens, c);
        return trunk.decode(tokens, c);
    }

    @Test
    void theSeedDrawsDiffusersPictures() throws IOException {
        JsonNode call = Golden.json("index.json").path(FOLDER);
        List<ClassChoice> classes = new ArrayList<>();
        call.get("class_labels").forEach(label -> classes.add(ClassChoice.of(label.asInt())));
        SampleRequest request = SampleRequest.of(classes)
                .withSeed(call.get("seed").asLong())
                .withSteps(call.get("num_inference_steps").asInt())
                .withGuidance(call.get("guidance_scale").asDouble())
                .withSampler(Sampler.DDIM, 0)
                .withTorchNoise();
        try (TensorScope scope = new TensorScope()) {
            Tensor images = Golden.tensors(NUMBERS).get("images");
            Golden.assertClose("images", images, draw(OpenOptions.DEFAULT, request), IMAGES);
            Golden.assertRejected(
                    "the published model's arithmetic, three channels guided",
                    images,
                    draw(OpenOptions.DEFAULT.withProfile(Profile.OFFICIAL), request),
                    IMAGES);
        }
    }

    /** (N, H, W, 3) in [0, 1]. */
    private static Tensor draw(OpenOptions options, SampleRequest request) throws IOException {
        Tensor[] drawn = new Tensor[1];
        try (DiTPipeline pipeline = DiTPipeline.open(Golden.path(FOLDER), options, "cpu", Precision.FP32)) {
            pipeline.sample(
                    request,
                    StepListener.NONE,
                    batch -> drawn[0] = TensorScope.keeping(() -> batch.div(new Scalar(2))
                            .add(new Scalar(0.5))
                            .clamp(new ScalarOptional(new Scalar(0)), new ScalarOptional(new Scalar(1)))
                            .permute(0, 2, 3, 1)
                            .contiguous()));
        }
        return drawn[0];
    }
}
