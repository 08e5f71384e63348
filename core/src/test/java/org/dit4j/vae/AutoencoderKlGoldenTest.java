package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.constant_pad_nd;
import static org.bytedeco.pytorch.global.torch.silu_;
import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.SharedModuleVector;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.RecipeWeights;
import org.dit4j.checkpoint.VaeCheckpoint;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Against diffusers' AutoencoderKL. */
@ExtendWith(Golden.Cases.class)
class AutoencoderKlGoldenTest {
    // float32 sums in another order give some 1e-6 through fifty layers
    private static final double TOLERANCE = 1e-5;

    @Test
    void aSmallAutoencoderEncodesAndDecodesAsTheReference() throws IOException {
        AutoencoderKl codec = (AutoencoderKl) VaeCheckpoint.open(Golden.path("vae/tiny"));
        assertEqualsReference("vae/tiny.io.safetensors", codec);
        codec.close();
    }

    @Test
    void theSameWeightsUnderTheOldNamesGiveTheSameBits() throws IOException {
        AutoencoderKl current = (AutoencoderKl) VaeCheckpoint.open(Golden.path("vae/tiny"));
        AutoencoderKl old = VaeCheckpoint.open(Golden.path("vae/tiny_old_names.safetensors"), current.config());
        assertEquals(current.encoderDigest(), old.encoderDigest());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> io = Golden.tensors("vae/tiny.io.safetensors");
            assertArrayEquals(
                    Tensors.toFloats(current.encode(io.get("x")).mean()),
                    Tensors.toFloats(old.encode(io.get("x")).mean()));
            assertArrayEquals(Tensors.toFloats(current.decode(io.get("z"))), Tensors.toFloats(old.decode(io.get("z"))));
            Golden.ran();
        }
        current.close();
        old.close();
    }

    @Test
    void theStableDiffusionAutoencoderHasTheReferencesNamesShapesAndOrder() {
        JsonNode expected = Golden.json("vae/sd_vae_shapes.json");
        List<String> names = new ArrayList<>();
        expected.fieldNames().forEachRemaining(names::add);
        AutoencoderKlConfig config = AutoencoderKlConfig.STABLE_DIFFUSION;
        AutoencoderKl codec = config.network();
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> state = StateDict.of(codec);
            assertEquals(names, List.copyOf(state.keySet()));
            long numel = 0;
            for (String name : names) {
                String shape = expected.get(name).toString().replace(",", ", ");
                assertEquals(shape, Tensors.shape(state.get(name)), name);
                numel += state.get(name).numel();
            }
            assertEquals(83_653_863, numel); // reference.md, 3.4
        }
        Golden.ran();
        codec.close();
    }

    @Test
    void theFullSizeAutoencoderWithWeightsByRecipeEncodesAndDecodesAsTheReference() {
        String file = "vae/sd_vae_recipe.io.safetensors";
        long seed = Long.parseLong(Golden.metadata(file).get("seed"));
        AutoencoderKlConfig config = AutoencoderKlConfig.STABLE_DIFFUSION;
        AutoencoderKl codec = config.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(codec), seed);
        }
        assertEqualsReference(file, codec);
        codec.close();
    }

    private static void assertEqualsReference(String file, AutoencoderKl codec) {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> io = Golden.tensors(file);
            Tensor images = io.get("x"), latents = codec.scaling().toLatents(io.get("z"));
            LatentDistribution distribution = codec.encode(images);
            Tensor decoded = codec.decode(latents);
            assertClose(file + " mean", io.get("mean"), distribution.mean(), TOLERANCE);
            assertClose(file + " logvar", io.get("logvar"), distribution.logVariance(), TOLERANCE);
            assertClose(file + " std", io.get("std"), distribution.std(), TOLERANCE);
            assertClose(file + " decoded", io.get("decoded"), decoded, TOLERANCE);
            assertRejected(
                    "raw latents taken for scaled ones", io.get("decoded"), codec.decode(io.get("z")), TOLERANCE);
            assertRejected(
                    "padding all round before a stride of 2",
                    io.get("mean"),
                    withSymmetricPadding(codec, images).mean(),
                    TOLERANCE);
            setNormEps(codec, 1e-5);
            double ofMean =
                    Golden.relativeError(io.get("mean"), codec.encode(images).mean());
            double ofDecoded = Golden.relativeError(io.get("decoded"), codec.decode(latents));
            assertTrue(
                    Math.max(ofMean, ofDecoded) > TOLERANCE,
                    "GroupNorm eps 1e-5 should be rejected, but is off by " + ofMean + " and " + ofDecoded);
        }
    }

    /** PyTorch's default in place of the reference's 1e-6. */
    private static void setNormEps(AutoencoderKl codec, double eps) {
        SharedModuleVector modules = codec.modules();
        for (long i = 0; i < modules.size(); i++) {
            GroupNormImpl norm = modules.get(i).asGroupNorm();
            if (norm != null && !norm.isNull()) norm.options().eps().put(eps);
        }
    }

    /** The encoder with one pixel of padding on all four sides in its steps down, as most networks have it. */
    private static LatentDistribution withSymmetricPadding(AutoencoderKl codec, Tensor images) {
        try (NoGradGuard noGrad = new NoGradGuard()) {
            KlEncoder encoder = codec.encoder;
            Tensor x = encoder.convIn.forward(images);
            for (KlEncoder.DownBlock block : encoder.downBlocks) {
                for (ResnetBlock resnet : block.resnets) x = resnet.forward(x);
                if (block.downsample != null) x = block.downsample.conv.forward(constant_pad_nd(x, 1, 1, 1, 1));
            }
            x = encoder.convOut.forward(silu_(encoder.normOut.forward(encoder.midBlock.forward(x))));
            return LatentDistribution.ofMoments(codec.quantConv == null ? x : codec.quantConv.forward(x));
        }
    }
}
