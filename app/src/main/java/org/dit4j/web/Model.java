package org.dit4j.web;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.bytedeco.pytorch.Device;
import org.dit4j.DiTPipeline;
import org.dit4j.PictureDecoder;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.Inspection;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.Weights;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LinearRgb;

/** An opened model: what draws, what shows its steps, and which file it is. */
final class Model implements AutoCloseable {
    private final Models.Entry entry;
    private final Weights weights;
    private final DiTPipeline pipeline;
    private final String digest;
    /** Null without a small autoencoder for previews. */
    private final LatentCodec previewCodec;

    private final Device device;
    private volatile PictureDecoder preview;

    private Model(
            Models.Entry entry,
            Weights weights,
            DiTPipeline pipeline,
            String digest,
            LatentCodec codec,
            Device device) {
        this.entry = entry;
        this.weights = weights;
        this.pipeline = pipeline;
        this.digest = digest;
        this.device = device;
        previewCodec = codec;
        preview = codec != null
                ? PictureDecoder.of(codec, device)
                : pipeline.colours()
                        .map(PictureDecoder::of)
                        .orElse(
                                pipeline.downsampling() == 1
                                        ? pipeline.decoder().orElse(null)
                                        : null);
    }

    static Model open(
            Models.Entry entry, Weights weights, OpenOptions options, String device, Optional<Path> previewVae)
            throws IOException {
        OpenOptions chosen = options.withWeights(weights);
        DiTPipeline pipeline = DiTPipeline.open(entry.path(), chosen, device, Precision.FP32);
        try {
            String digest = Inspection.HashedFile.of(
                            Checkpoints.files(entry.path(), chosen).get(0))
                    .sha256();
            boolean small = previewVae.isPresent() && pipeline.downsampling() > 1;
            LatentCodec codec = small ? Checkpoints.openVae(previewVae.get()) : null;
            return new Model(entry, weights, pipeline, digest, codec, Backend.device(device));
        } catch (IOException | RuntimeException e) {
            pipeline.close();
            throw e;
        }
    }

    Models.Entry entry() {
        return entry;
    }

    Weights weights() {
        return weights;
    }

    DiTPipeline pipeline() {
        return pipeline;
    }

    /** SHA-256 of the file of weights. */
    String digest() {
        return digest;
    }

    Device device() {
        return device;
    }

    /** What shows a step: a small autoencoder, a projection to colours, or pixels as they are; nothing yet where latents have no projection. */
    Optional<PictureDecoder> preview() {
        return Optional.ofNullable(preview);
    }

    /** Takes a projection that was fitted on this model's own pictures, where there is nothing better. */
    void showBy(LinearRgb fitted) {
        if (preview == null) preview = PictureDecoder.of(fitted);
    }

    @Override
    public void close() {
        pipeline.close();
        if (previewCodec != null) previewCodec.close();
    }
}
