package org.dit4j.vae;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.RealData;
import org.dit4j.checkpoint.VaeCheckpoint;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Against diffusers' AutoencoderTiny with the published TAESD. */
@ExtendWith(Golden.Cases.class)
class TinyAutoencoderGoldenTest {
    // float32 sums in another order give some 1e-6 through thirty convolutions; bf16 maths would give 1e-2
    private static final double TOLERANCE = 1e-5;
    private static final String FILE = "vae/taesd.io.safetensors";

    private static LatentCodec codec;

    @BeforeAll
    static void open() throws IOException {
        Golden.path(FILE);
        codec = VaeCheckpoint.open(RealData.path("taesd"));
    }

    @Test
    void photographsEncodeAndComeBackAsInTheReference() {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> io = Golden.tensors(FILE);
            Tensor pixels = io.get("images").to(ScalarType.Float).div(new Scalar(127.5));
            Tensor images = pixels.sub(new Scalar(1.0));
            LatentDistribution distribution = codec.encode(images);
            assertFalse(distribution.hasVariance());
            Tensor latents = codec.scaling().toLatents(distribution.mean());
            assertClose("latents", io.get("latents"), latents, TOLERANCE);
            assertClose("reconstruction", io.get("reconstruction"), codec.decode(latents), TOLERANCE);
            assertRejected(
                    "images in [0, 2]", io.get("latents"), codec.encode(pixels).mean(), TOLERANCE);
        }
    }

    @Test
    void randomLatentsDecodeAsInTheReference() {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> io = Golden.tensors(FILE);
            assertClose("decoded", io.get("decoded"), codec.decode(io.get("z")), TOLERANCE);
            Tensor rawLatents = LatentScaling.STABLE_DIFFUSION.toRawLatents(io.get("z"));
            assertRejected("Stable Diffusion's scale", io.get("decoded"), codec.decode(rawLatents), TOLERANCE);
            Tensor twice = io.get("z").div(new Scalar(3.0)).tanh().mul(new Scalar(3.0));
            assertRejected("latents squeezed twice", io.get("decoded"), codec.decode(twice), TOLERANCE);
        }
    }

    @Test
    void aDiffusersFolderOfItOpensToTheSameWeights(@TempDir Path folder) throws IOException {
        java.nio.file.Files.writeString(
                folder.resolve("config.json"), "{\"_class_name\": \"AutoencoderTiny\", \"latent_channels\": 4}");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> state = new LinkedHashMap<>();
            Path taesd = RealData.path("taesd");
            // the indices that diffusers gives them, written out
            Safetensors.read(taesd.resolve("taesd_encoder.safetensors"))
                    .forEach((name, tensor) -> state.put("encoder.layers." + name, tensor));
            Safetensors.read(taesd.resolve("taesd_decoder.safetensors")).forEach((name, tensor) -> {
                int dot = name.indexOf('.');
                int number = Integer.parseInt(name.substring(0, dot));
                state.put("decoder.layers." + (number - 1) + name.substring(dot), tensor);
            });
            assertEquals(134, state.size());
            Safetensors.write(folder.resolve("diffusion_pytorch_model.safetensors"), state, Map.of());
        }
        LatentCodec opened = VaeCheckpoint.open(folder);
        assertEquals(codec.encoderDigest(), opened.encoderDigest());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> ours = StateDict.of((TinyAutoencoder) codec);
            StateDict.of((TinyAutoencoder) opened)
                    .forEach((name, tensor) -> assertEquals(0, Golden.relativeError(ours.get(name), tensor), name));
        }
        Golden.ran();
        opened.close();
    }
}
